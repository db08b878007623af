//! A connection that stands, to one life of one server, and what is known of that life.

use super::facts::Facts;
use super::record::Epoch;
use super::script;
use super::trouble::Trouble;
use crate::key::BUCKETS;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub(crate) struct Live {
    connection: MultiplexedConnection,
    pub(crate) facts: Facts,
    /// The epoch of each bucket, as a script told it last; zero: not yet. A record of that epoch may be served without
    /// asking its sentinel: an invalidation marks the record itself, in whichever epoch it is.
    epochs: Vec<AtomicU64>,
    /// On which timeline of the database the epochs were told.
    timeline: AtomicU32,
    /// Calls in a row that were not answered in time.
    pub(crate) unanswered: AtomicU32,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Live {
    pub(crate) fn new(connection: MultiplexedConnection, facts: Facts) -> Self {
        let epochs = std::iter::repeat_with(AtomicU64::default).take(usize::from(BUCKETS)).collect();
        Self { connection, facts, epochs, timeline: AtomicU32::new(0), unanswered: AtomicU32::new(0) }
    }

    /// The epoch of a bucket, if it is known on this timeline.
    pub(crate) fn epoch(&self, bucket: u16, timeline: u32) -> Option<Epoch> {
        if self.timeline.load(Ordering::Acquire) != timeline {
            return None;
        }
        Some(Epoch(self.epochs[usize::from(bucket)].load(Ordering::Acquire))).filter(|epoch| epoch.0 != 0)
    }

    pub(crate) fn note_epoch(&self, bucket: u16, timeline: u32, epoch: Epoch) {
        if self.timeline.swap(timeline, Ordering::AcqRel) != timeline {
            for epoch in &self.epochs {
                epoch.store(0, Ordering::Release);
            }
        }
        self.epochs[usize::from(bucket)].store(epoch.0, Ordering::Release);
    }

    /// Sends commands together, and answers with what came of each. With `asking`, as the cluster wants it for a slot
    /// that is on its way to this server.
    ///
    /// # Errors
    /// The first error among the answers, or that of the connection.
    pub(crate) async fn send(&self, commands: Vec<Cmd>, asking: bool) -> Result<Vec<Value>, Trouble> {
        let mut connection = self.connection.clone();
        let count = commands.len() * if asking { 2 } else { 1 };
        let mut pipeline = Pipeline::with_capacity(count);
        for command in commands {
            if asking {
                pipeline.add_command(redis::cmd("ASKING"));
            }
            pipeline.add_command(command);
        }
        let mut answers = connection.send_packed_commands(&pipeline, 0, count).await?;
        if asking {
            answers = answers.into_iter().skip(1).step_by(2).collect();
        }
        match answers.iter().find_map(Trouble::in_answer) {
            Some(trouble) => Err(trouble),
            None => Ok(answers),
        }
    }

    /// Brings back what `SCRIPT FLUSH` took.
    pub(crate) async fn load_scripts(&self) -> Result<(), Trouble> {
        Ok(script::load(&mut self.connection.clone()).await?)
    }
}
