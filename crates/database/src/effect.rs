//! What is to happen when, and only when, a transaction commits.

use onefold_core::Lsn;
use onefold_core::process::BoxFuture;

/// A consequence of a commit, attached to a [`Tx`](crate::Tx) by another tier.
///
/// A rolled-back transaction's effects never happen. If the node dies between the commit and `committed`, the
/// outbox row that `record` gave is still there for whoever tails that subject.
pub trait Effect: Send + Sync + 'static {
    /// The row for the outbox, written in the transaction; none for an effect that is only a hint.
    fn record(&self) -> Option<OutboxRecord>;

    /// Runs after the commit and before the caller's answer; `at` covers the commit. Answers whether the effect is
    /// now in force everywhere it must be. It has [`EFFECTS_MAX`](crate::EFFECTS_MAX) to say so; after that it
    /// runs on, and counts as not confirmed.
    fn committed(self: Box<Self>, at: Lsn) -> BoxFuture<'static, bool>;
}

/// One row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Whose it is.
    pub subject: &'static str,
    /// What that reader understands.
    pub payload: Vec<u8>,
}
