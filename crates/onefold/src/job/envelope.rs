//! What travels with a job.

use super::Job;
use crate::error::Result;
use crate::extract::Context;
use onefold_queue::Envelope;

/// Packs a job: its arguments, the trace it belongs to, and the session of whoever enqueues it.
pub(crate) fn envelope<J: Job>(context: &Context, job: &J) -> Result<Envelope> {
    let mut envelope = Envelope::new(J::KIND, job)?.attempts(J::ATTEMPTS);
    if let Some(token) = context.session.token() {
        envelope.session = Some(context.node.keys.sign(&token));
    }
    Ok(envelope)
}
