//! Overload at an app node: how many requests run at once, who waits, and who is told at once to come back later.
//!
//! A node that takes everything answers nothing in time once more comes than it can do. So each request passes a
//! [`Gate`] before anything is done for it, its body not read and no span begun: it runs, waits for a moment, or is refused
//! with 503. How many run is found by measuring (`limit.rs`), and all decisions are made by a [`desk`] without a clock
//! or task of its own, which `simulation.rs` drives in virtual time. `docs/overload.md` is the guide.

mod baseline;
mod concurrency;
mod desk;
mod gate;
mod limit;
mod line;
mod meters;
mod priority;
mod refusal;
#[cfg(test)]
mod simulation;

pub(crate) use concurrency::Concurrency;
pub(crate) use gate::Gate;
pub use priority::Priority;
pub(crate) use refusal::refusal;
