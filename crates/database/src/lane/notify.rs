//! NOTIFY after commits, on a connection of its own: never in a business transaction, where it would take one
//! global lock through the commit.

use crate::connection::Connection;
use crate::connector::{Access, Lane};
use crate::error::Error;
use crate::servers::Servers;
use onefold_core::TaskGroup;
use onefold_core::metrics::{Counter, Metrics};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Notifications that wait to be sent. Beyond that they are dropped and counted: they are only ever hints.
const WAITING_MAX: usize = 1024;
/// The first is sent at once; those that come while it is under way go together after this.
const COALESCE: Duration = Duration::from_millis(2);
const RETRY_AFTER: Duration = Duration::from_millis(100);
const NOTIFY: &str =
    "select pg_notify(channel, payload) from unnest($1::text[], $2::text[]) as n(channel, payload)";

type Hint = (&'static str, String);

#[derive(Clone, Debug)]
pub(crate) struct Notifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiting: Mutex<HashSet<Hint>>,
    woken: Notify,
    dropped: Counter,
}

impl Notifier {
    pub(crate) fn start(servers: Arc<Servers>, tasks: &TaskGroup, metrics: &Metrics) -> Self {
        let dropped = metrics.counter(
            "onefold_database_notifications_dropped",
            "Hints dropped because too many waited or the primary was away.",
            &[],
        );
        let inner = Arc::new(Inner { waiting: Mutex::default(), woken: Notify::new(), dropped });
        let (task, stopping) = (Arc::clone(&inner), tasks.stopping());
        tasks.spawn("database-notifier", async move {
            stopping.run_until_cancelled(notify_forever(&task, &servers)).await;
        });
        Self(inner)
    }

    /// Queues a hint; one that waits already is not queued twice.
    pub(crate) fn notify(&self, channel: &'static str, payload: String) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING_MAX {
            self.0.dropped.inc();
        } else if waiting.insert((channel, payload)) {
            self.0.woken.notify_one();
        }
    }
}

impl Inner {
    fn take(&self) -> Vec<Hint> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }
}

async fn notify_forever(inner: &Inner, servers: &Servers) {
    let mut connection = None;
    loop {
        inner.woken.notified().await;
        let hints = inner.take();
        if hints.is_empty() {
            continue;
        }
        let count = hints.len() as u64;
        match send(&mut connection, servers, hints).await {
            Ok(()) => tokio::time::sleep(COALESCE).await,
            Err(error) => {
                tracing::debug!("notify: {error}");
                inner.dropped.inc_by(count);
                connection = None;
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn send(connection: &mut Option<Connection>, servers: &Servers, hints: Vec<Hint>) -> Result<(), Error> {
    let connection = match connection {
        Some(open) if !open.is_closed() => open,
        _ => {
            let primary = servers.primary(None).await?;
            connection.insert(primary.server.connector.connect(Access::Write, Lane::Shared).await?)
        }
    };
    // Nothing is written, so there is no commit that could wait for a standby.
    let (channels, payloads): (Vec<&str>, Vec<String>) = hints.into_iter().unzip();
    connection.execute_cached(NOTIFY, &[&channels, &payloads]).await?;
    Ok(())
}
