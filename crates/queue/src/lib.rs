//! Jobs: enqueued in the transaction that needs them, run by workers, at least once each, with effects in the
//! database kept single.
//!
//! - [`Queue`] is the producer's side, and what a handler keeps its effects single with;
//! - [`Worker`] runs the jobs of [`Kinds`]; [`Leader`] does what one node at a time does: rescue, cron, upkeep;
//! - [`Admin`] is for people: look, retry, cancel, replay;
//! - [`Store`] is the contract of an engine, [`postgres`] and `nats` (a feature) are engines, and `conformance`
//!   (feature `testing`) holds them to it. [`Config`] starts the one that it names.
//!
//! **What is promised.** A job enqueued in a transaction exists exactly if that commits. It runs at least once,
//! whichever worker dies, and leaves the queue only by success, by cancellation, or as a dead letter. An effect in
//! the database is applied once if the handler uses [`Queue::once`] or [`Queue::complete_in`]. Effects elsewhere
//! happen at least once; [`JobId`] is a stable key to hand on. Only [`Queue::enqueue_buffered`] may lose jobs.
//!
//! It knows no other tier but `database`: leadership reaches it as a `watch::Receiver<bool>`.

pub mod admin;
mod backlog;
mod buffer;
mod complaint;
mod config;
#[cfg(feature = "testing")]
#[expect(clippy::missing_panics_doc, reason = "a case fails by panicking")]
pub mod conformance;
mod cron;
mod delivery;
mod engine;
mod envelope;
mod error;
mod kind;
mod leader;
mod metrics;
#[cfg(feature = "nats")]
pub mod nats;
pub mod postgres;
mod queue;
pub mod store;
mod verdict;
mod wake;
mod worker;

pub use admin::Admin;
pub use backlog::Backlog;
pub use buffer::Buffered;
pub use config::{Config, Engine, WorkerConfig};
pub use cron::Schedule;
pub use delivery::{Delivery, Failure, Fetched, Message};
pub use engine::Started;
pub use envelope::{
    ARGS_BYTES_MAX, DEFAULT_QUEUE, Due, Enqueued, Envelope, JobId, NAME_BYTES_MAX, Priority, Unique,
};
pub use error::Error;
pub use kind::{Handler, History, Kinds, Policy};
pub use leader::Leader;
pub use onefold_core::process::BoxFuture;
pub use queue::{ENQUEUE_JOBS_MAX, Queue};
pub use store::{Capabilities, Store};
pub use worker::{Start, Worker};

/// The queue's tables, for the database tier to apply.
pub use postgres::MIGRATIONS;
