//! Jobs.

use super::Context;
use crate::error::{Error, Result};
use crate::job::{Job, envelope};

/// Enqueues jobs outside a transaction. What belongs to a write goes through
/// [`Tx::enqueue`](crate::Tx::enqueue) instead, and is there exactly if the write is.
#[derive(Clone)]
pub struct Jobs {
    context: Context,
}

impl Jobs {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Enqueues a job; once this answers, it is durable.
    ///
    /// # Errors
    /// `Unavailable` without a queue; `Internal` where the kind is not registered on [`App`](crate::App).
    pub async fn enqueue<J: Job>(&self, job: J) -> Result {
        let envelope = envelope(&self.context, &job)?;
        self.context.node.queue.enqueue(vec![envelope]).await?;
        Ok(())
    }

    /// Enqueues a job soon, together with others, without waiting: for events of which each is worth little.
    ///
    /// Until the batch is written (a few milliseconds), a crash of this node loses it; a full buffer drops it
    /// and counts that. A stopping node writes what it holds.
    #[expect(clippy::needless_pass_by_value, reason = "a job is handed over, as everywhere")]
    pub fn enqueue_buffered<J: Job>(&self, job: J) {
        match envelope(&self.context, &job) {
            Ok(envelope) => {
                if let Err(error) = self.context.node.queue.enqueue_buffered(envelope) {
                    refused::<J>(&error.into());
                }
            }
            Err(error) => refused::<J>(&error),
        }
    }
}

/// Nobody waits for the answer, so the log has it.
fn refused<J: Job>(error: &Error) {
    tracing::error!(%error, messaging.operation.name = "enqueue", kind = J::KIND, "a job was refused");
}
