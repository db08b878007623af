//! Cleans connections whose users have gone in the middle of something, before the pool sees them again.

use crate::connection::Connection;
use crate::lane::{Opener, READ_ONLY, Remains};
use deadpool::managed::Object;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use onefold_core::TaskGroup;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Connections that wait to be cleaned. Beyond that they are closed instead, which the server answers with a
/// rollback too.
const WAITING_MAX: usize = 256;
/// A connection that does not come clean in this time is closed.
const CLEANING_MAX: Duration = Duration::from_secs(5);
/// A COMMIT may wait for its standby as long as it takes; after this the pool gets a new connection in its place.
const COMMIT_WAIT_MAX: Duration = Duration::from_mins(1);
const CANCEL_AGAIN_AFTER: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct Reaper(mpsc::Sender<Abandoned>);

#[derive(Debug)]
struct Abandoned {
    object: Object<Opener>,
    remains: Remains,
}

impl Reaper {
    /// Starts the reaper's task.
    pub(crate) fn start(tasks: &TaskGroup) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let stopping = tasks.stopping();
        tasks.spawn("database-reaper", async move {
            stopping.run_until_cancelled(reap(receiver)).await;
        });
        Self(sender)
    }

    /// Takes a connection over. It goes back into the pool once the server is ready for the next statement.
    pub(crate) fn bury(&self, object: Object<Opener>, remains: Remains) {
        if let Err(error) = self.0.try_send(Abandoned { object, remains }) {
            let (mpsc::error::TrySendError::Full(abandoned) | mpsc::error::TrySendError::Closed(abandoned)) =
                error;
            drop(Object::take(abandoned.object));
        }
    }
}

async fn reap(mut receiver: mpsc::Receiver<Abandoned>) {
    let mut cleaning = FuturesUnordered::new();
    loop {
        tokio::select! {
            abandoned = receiver.recv() => match abandoned {
                Some(abandoned) => cleaning.push(clean(abandoned)),
                None => break,
            },
            Some(()) = cleaning.next() => {}
        }
    }
    while cleaning.next().await.is_some() {}
}

async fn clean(Abandoned { object, remains }: Abandoned) {
    let patience = if remains == Remains::Commit { COMMIT_WAIT_MAX } else { CLEANING_MAX };
    let cleaned = tokio::time::timeout(patience, settle(&object, remains)).await;
    if !matches!(cleaned, Ok(true)) {
        tracing::debug!("an abandoned connection is closed");
        drop(Object::take(object));
    }
}

/// Answers whether the connection is clean, and rests read-only.
async fn settle(connection: &Connection, remains: Remains) -> bool {
    match remains {
        Remains::Unknown => {
            // Nearly always nothing is under way, and the server says so in one round trip.
            match tokio::time::timeout(CANCEL_AGAIN_AFTER, rest(connection)).await {
                Ok(rests) => rests,
                Err(_) => roll_back(connection, Remains::Statement).await && rest(connection).await,
            }
        }
        // It may have been a single statement's, for which the connection was opened.
        Remains::Commit => roll_back(connection, remains).await && rest(connection).await,
        Remains::Nothing | Remains::Transaction | Remains::Statement => roll_back(connection, remains).await,
    }
}

async fn rest(connection: &Connection) -> bool {
    connection.batch_execute(READ_ONLY).await.is_ok()
}

/// Answers whether the connection is clean. The rollback stands behind whatever still runs, so its answer means
/// that all of it has ended.
async fn roll_back(connection: &Connection, remains: Remains) -> bool {
    loop {
        let mut rollback = pin!(connection.batch_execute("rollback"));
        let answer = loop {
            // Again and again: a cancel that comes before its statement has begun is lost. One that comes after it
            // hits the rollback, which is then sent once more.
            if remains == Remains::Statement && connection.cancel().await.is_err() {
                return false;
            }
            if let Ok(answer) = tokio::time::timeout(CANCEL_AGAIN_AFTER, rollback.as_mut()).await {
                break answer;
            }
        };
        match answer {
            Ok(()) => return true,
            Err(_) if connection.is_closed() => return false,
            Err(_) => {}
        }
    }
}
