//! Steps and conditions of a transaction, in a line each.

use super::keys::Span;
use super::wire::{
    Condition, ConditionTarget, DeleteRange, KeyValue, Order, Put, Range, Revision, Step, StepKind, Target,
    TxnAnswer,
};
use bytes::Bytes;

/// Reads one key.
pub(super) fn get(key: Bytes) -> Step {
    StepKind::Range(Range { key, ..Range::default() }).into()
}

/// Reads all keys of a span, sorted.
pub(super) fn list(span: Span) -> Step {
    StepKind::Range(Range { key: span.key, end: span.end, ..Range::default() }).into()
}

/// Reads the keys of a span without their values, sorted.
pub(super) fn names(span: Span) -> Step {
    StepKind::Range(Range { key: span.key, end: span.end, keys_only: true, ..Range::default() }).into()
}

/// Reads the keys of a span that were written last, the newest first.
pub(super) fn newest(span: Span, limit: i64) -> Step {
    let range = Range {
        key: span.key,
        end: span.end,
        limit,
        order: Order::Descending.into(),
        by: Target::Modified.into(),
        keys_only: false,
    };
    StepKind::Range(range).into()
}

/// Writes a key that no lease of etcd's carries.
pub(super) fn put(key: Bytes, value: impl Into<Bytes>) -> Step {
    StepKind::Put(Put { key, value: value.into(), ..Put::default() }).into()
}

/// Writes a key that ends with this lease of etcd's.
pub(super) fn put_leased(key: Bytes, value: impl Into<Bytes>, lease: i64) -> Step {
    StepKind::Put(Put { key, value: value.into(), lease, keep_lease: false }).into()
}

/// Writes a key that is there, and leaves it to its lease.
pub(super) fn rewrite(key: Bytes, value: impl Into<Bytes>) -> Step {
    StepKind::Put(Put { key, value: value.into(), lease: 0, keep_lease: true }).into()
}

pub(super) fn delete(key: Bytes) -> Step {
    StepKind::Delete(DeleteRange { key }).into()
}

/// Holds where the key was written last in this revision; 0 stands for "there is no such key".
pub(super) fn modified(key: Bytes, revision: i64) -> Condition {
    let target = ConditionTarget::Modified.into();
    Condition { target, key, revision: Some(Revision::Modified(revision)) }
}

/// Holds where the key was created in this revision; 0 stands for "there is no such key".
pub(super) fn created(key: Bytes, revision: i64) -> Condition {
    let target = ConditionTarget::Created.into();
    Condition { target, key, revision: Some(Revision::Created(revision)) }
}

impl TxnAnswer {
    /// What a step has read, by its place; nothing, where it has read nothing.
    pub(super) fn read(&self, step: usize) -> &[KeyValue] {
        self.steps.get(step).and_then(|step| step.ranged.as_ref()).map_or(&[], |ranged| ranged.kvs.as_slice())
    }

    /// What the last step has read.
    pub(super) fn read_last(&self) -> &[KeyValue] {
        self.steps.len().checked_sub(1).map_or(&[], |last| self.read(last))
    }
}
