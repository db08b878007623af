//! Runs a protocol on a clock of its own, thousands of times, each time by another schedule.
//!
//! A [`World`] holds processes, their timers and the messages between them: messages come late, twice, in another
//! order or never; processes pause, die and are started again. Every choice is drawn from a [`Chance`], so one number, the seed,
//! is the whole schedule. [`explore`] runs many; of one that breaks a promise it looks for the shortest that does so too, and
//! tells it with the seed, which replays it: `ONEFOLD_SEED=… cargo nextest run …`.
//!
//! A simulation drives the code that decides in production, not a copy of it, and has to find a bug that is planted:
//! [`Found::broken`].

mod chance;
mod explore;
mod shorten;
mod world;

pub use chance::Chance;
pub use explore::{Broken, Found, Schedules, explore};
pub use world::{Network, Process, World};
