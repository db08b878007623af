//! One request from its head to the end of its response.
//!
//! [`service`] decides, in this order: refuse, limit, prepare, relay, answer. [`relay`] tries endpoints until one
//! answers; [`attempt`] is one try; [`retry`] says what may be tried again. [`exchange`] is the record of the
//! request: whatever happens to it, dropping that record counts and logs it once.

mod attempt;
mod exchange;
mod headers;
mod identity;
mod problem;
mod relay;
mod request_body;
mod response_body;
pub(crate) mod retry;
mod service;
#[cfg(test)]
mod simulation;
mod target;

pub(crate) use request_body::RequestBody;
pub(crate) use service::{Connection, answer};
