//! Every statement of the Postgres engine, with the index it lives on.
//!
//! Statements of the hot path touch `job` by `job_ready` (fetch) or by primary key (settle), never by a scan.
//! `run` is the fence: each fetch raises it, and so does whatever takes a job from its worker, so that
//! `(id, run)` names one execution for ever. A condition on `state` beside it would only tempt the planner to
//! walk the partial index of all running jobs.
#![cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "benches and tests read them"))]

mod count;
mod cron;
mod enqueue;
mod fetch;
mod people;
mod settle;
mod upkeep;
mod worker;

pub use count::*;
pub(crate) use cron::*;
pub use enqueue::*;
pub use fetch::*;
pub use people::*;
pub use settle::*;
pub(crate) use upkeep::*;
pub use worker::*;
