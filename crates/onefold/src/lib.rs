//! Write the handlers. Get the distributed system.
//!
//! A team writes axum handlers, typed [`Job`]s and SQL, and hands them to an [`App`]. The binary that results runs
//! every part of the system: `up` starts all of it on one machine, `serve` one node of it.
//!
//! This crate is the only place that sees every tier; each tier is a crate of its own.

mod admin;
mod app;
mod cli;
mod error;
mod extract;
mod invitation;
mod job;
mod level;
mod node;
mod overload;
mod probe;
mod request;
mod role;
mod serve;
mod topology;
mod tx;
mod up;

#[cfg(feature = "testing")]
pub mod testing;

pub use app::App;
pub use error::{Error, Kind, Result};
pub use extract::{Cache, Db, Flags, Jobs, Locks, RequestId, Settings};
pub use job::{Job, JobCx};
pub use level::{AllowLayer, AllowService, allow};
pub use onefold_cache::{Cached, Key};
pub use onefold_coordination::{Flag, Lock, Setting};
pub use onefold_database::{Migration, Read, Reader};
pub use onefold_macros::FromRow;
pub use overload::Priority;
pub use tx::Tx;

/// What `#[derive(FromRow)]` and hand-written rows need.
pub mod database {
    pub use onefold_database::tokio_postgres::Row;
    pub use onefold_database::tokio_postgres::types;
    pub use onefold_database::{Error, FromRow, Params};
}

/// What an application imports.
pub mod prelude {
    pub use crate::{
        App, Cache, Cached, Db, Error, Flag, Flags, FromRow, Job, JobCx, Jobs, Kind, Lock, Locks, Priority,
        Read, Reader, RequestId, Result, Setting, Settings, Tx, allow, migrations,
    };
}
