#![doc = include_str!("../README.md")]

mod config;
#[cfg(feature = "testing")]
pub mod conformance;
mod continuity;
mod coordination;
mod disk;
mod election;
mod engine;
mod error;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod flags;
mod lock;
mod members;
mod membership;
mod metrics;
mod postgres;
mod reaper;
pub mod settings;
#[cfg(test)]
mod simulation;
mod snapshot;
pub mod store;
mod tenure;
mod timed;
mod typed;
mod wakes;
mod watcher;

pub use config::{Config, Endpoint, Engine, InvalidEndpoint};
pub use coordination::{Coordination, Node};
pub use election::{Leader, Leadership};
pub use error::Error;
pub use flags::{Details, ErrorCode, EvaluationContext, Flag, Flags, Reason};
pub use lock::{Lock, Locks};
pub use members::{MemberList, Registration};
pub use postgres::{MIGRATIONS, Postgres};
pub use settings::{Setting, Settings};
pub use snapshot::Snapshot;
pub use store::{FencingToken, Writer};
pub use typed::{JsonText, Typed};
