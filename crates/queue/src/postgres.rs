//! The queue on Postgres: jobs are rows of one small hot table of the primary database.
//!
//! A finished job is deleted; dead letters and history have tables of their own. Batches are taken by `SKIP
//! LOCKED` and settled by one statement, each worker under one lease row. `sql` has the statements and says
//! which index each lives on.
//!
//! No statement here sends `NOTIFY` in a business transaction, where it would take one global lock through the
//! commit: hints go out after it, on a connection of the database tier's notifier.

pub(crate) mod columns;
mod consumer;
pub(crate) mod held;
mod ledger;
mod marks;
mod migrations;
mod partitions;
mod rescue;
mod settler;
#[cfg(test)]
mod simulation;
pub(crate) mod sql;
mod store;

/// The statements of the hot path, for benchmarks that run them raw and for tests of their plans.
#[cfg(feature = "testing")]
pub mod statements {
    pub use super::sql::{
        DEPTHS_BOUNDED, DIE, DONE, ENQUEUE_MANY, ENQUEUE_ONE, FETCH, LIST_HELD, LIST_RETRYING, LIST_RUNNING,
        NEXT_DUE, PUT_BACK, RECORD, REGISTER, UNPARK,
    };
}

pub use migrations::MIGRATIONS;
pub use store::Postgres;
