//! The words that every tier shares: who a node is, where it stands, what time it is, how long a call may
//! take, how a failure is classed, and how the topology file is read.
//!
//! No I/O but the clock, that file and, behind the feature `tls`, handshakes; small, and kept small. It knows no tier.

pub mod clock;
pub mod deadline;
pub mod engine;
pub mod error;
pub mod header;
pub mod lsn;
pub mod member;
pub mod metrics;
pub mod node;
pub mod process;
pub mod retry;
pub mod secret;
pub mod task;
#[cfg(feature = "tls")]
pub mod tls;
pub mod topology;
pub mod trace;

pub use clock::Clock;
pub use deadline::Deadline;
pub use error::{Class, Classified};
pub use lsn::Lsn;
pub use member::{Member, Members};
pub use node::{Boot, NodeName, Role, Zone};
pub use secret::Secret;
pub use task::TaskGroup;
pub use trace::{TraceContext, TraceId};
