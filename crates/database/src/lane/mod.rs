//! How statements reach a server: on connections that many share, or on one of their own.

mod cost;
mod exclusive;
mod flight;
mod listen;
mod notify;
mod read;
mod reaper;
mod shared;

pub(crate) use cost::{Cost, Costs};
pub use exclusive::Exclusive;
pub(crate) use exclusive::{ExclusiveLane, Opener, READ_ONLY, READ_WRITE, Remains};
pub(crate) use flight::{Flight, Landed, Position as FlightPosition, lsn_of};
pub use listen::Heard;
pub(crate) use listen::Listener;
pub(crate) use notify::Notifier;
pub(crate) use read::ReadConnection;
pub(crate) use reaper::Reaper;
pub use shared::Shared;
pub(crate) use shared::SharedLane;
