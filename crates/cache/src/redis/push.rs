//! Hints between nodes by a channel of Redis: a publication reaches every server of a cluster, and so a node listens at
//! whichever answers, on a connection of its own to which messages are pushed.
//!
//! Not by `CLIENT TRACKING`: in a cluster its clients lose invalidations when servers join.

use super::door::Door;
use super::link::Link;
use super::routes::Routes;
use super::system::System;
use crate::l2::Hints;
use onefold_core::TaskGroup;
use onefold_database::Heard;
use rand::RngExt as _;
use redis::{PushInfo, PushKind, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Hints that wait to be told or to be heard; more are lost, and what is lost is known.
const WAITING_MAX: usize = 1024;
/// How many are told at once.
const TOLD_AT_ONCE: usize = 64;
/// Nodes speak up more often than that; a connection that is silent for so long is none.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// How long a server may take to subscribe us.
const SUBSCRIBED_MAX: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Push {
    shared: Arc<Shared>,
    told: mpsc::Sender<String>,
    tasks: TaskGroup,
}

#[derive(Debug)]
struct Shared {
    routes: Arc<Routes>,
    door: Arc<Door>,
    system: Arc<System>,
}

impl Push {
    pub(crate) fn start(
        routes: Arc<Routes>,
        door: Arc<Door>,
        system: Arc<System>,
        tasks: &TaskGroup,
    ) -> Self {
        let (told, waiting) = mpsc::channel(WAITING_MAX);
        let shared = Arc::new(Shared { routes, door, system });
        run(tasks, "redis-tell", Arc::clone(&shared).tell(waiting));
        Self { shared, told, tasks: tasks.clone() }
    }
}

impl Hints for Push {
    fn listen(&self) -> mpsc::Receiver<Heard> {
        let (hears, heard) = mpsc::channel(WAITING_MAX);
        run(&self.tasks, "redis-listen", Arc::clone(&self.shared).listen(hears));
        heard
    }

    fn tell(&self, payload: String) {
        // What does not fit is dropped, as it may be.
        let _ = self.told.try_send(payload);
    }
}

fn run(tasks: &TaskGroup, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let stopping = tasks.stopping();
    tasks.spawn(name, async move {
        stopping.run_until_cancelled(task).await;
    });
}

impl Shared {
    fn channel(&self) -> Option<String> {
        self.system.name().ok().map(|system| format!("{system}:bus"))
    }

    fn somebody(&self) -> Option<Arc<Link>> {
        let mut up = self.routes.up();
        let chosen = rand::rng().random_range(0..up.len().max(1));
        (chosen < up.len()).then(|| up.swap_remove(chosen))
    }

    async fn tell(self: Arc<Self>, mut waiting: mpsc::Receiver<String>) {
        let mut payloads = Vec::new();
        while waiting.recv_many(&mut payloads, TOLD_AT_ONCE).await > 0 {
            if let (Some(channel), Some(link)) = (self.channel(), self.somebody())
                && let Some(live) = link.live()
            {
                let publish = |payload: &String| {
                    let mut command = redis::cmd("PUBLISH");
                    command.arg(&channel).arg(payload);
                    command
                };
                let commands = payloads.iter().map(publish).collect();
                if let Err(trouble) = link.send(&live, commands, false).await {
                    tracing::debug!(server.address = %link.at, ?trouble, "publish a hint");
                }
            }
            payloads.clear();
        }
    }

    async fn listen(self: Arc<Self>, hears: mpsc::Sender<Heard>) {
        while !hears.is_closed() {
            if let (Some(channel), Some(link)) = (self.channel(), self.somebody()) {
                self.listen_at(&link, &channel, &hears).await;
                let _ = hears.send(Heard::Gap).await;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Until the connection is lost, or silent, or has said more than could be heard.
    async fn listen_at(&self, link: &Link, channel: &str, hears: &mpsc::Sender<Heard>) {
        let (pushed, mut pushes) = mpsc::channel::<PushInfo>(WAITING_MAX);
        let overflown = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&overflown);
        let note =
            move |info: PushInfo| pushed.try_send(info).inspect_err(|_| noted.store(true, Ordering::Release));
        let connection = match self.door.open_for_pushes(&link.at, note).await {
            Ok(connection) => connection,
            Err(problem) => return tracing::debug!(server.address = %link.at, %problem, "listen for hints"),
        };
        // The connection ends when it is dropped.
        let mut connection = connection;
        let subscribing = tokio::time::timeout(SUBSCRIBED_MAX, connection.subscribe(channel)).await;
        if !matches!(subscribing, Ok(Ok(()))) {
            return tracing::debug!(server.address = %link.at, ?subscribing, "subscribe to hints");
        }
        if hears.send(Heard::Subscribed).await.is_err() {
            return;
        }
        while let Ok(Some(info)) = tokio::time::timeout(SILENCE_MAX, pushes.recv()).await {
            if overflown.load(Ordering::Acquire) || info.kind == PushKind::Disconnection {
                return;
            }
            if let Some(payload) = payload(info)
                && hears.send(Heard::Payload(payload)).await.is_err()
            {
                return;
            }
        }
    }
}

/// What a message says; none where it is something else.
fn payload(info: PushInfo) -> Option<String> {
    if info.kind != PushKind::Message {
        return None;
    }
    match info.data.into_iter().nth(1)? {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
