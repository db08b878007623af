//! Primary database and read replicas: one node's way to a Postgres cluster.
//!
//! - [`Database`] holds a node's connections and finds the primary by asking;
//! - [`Db`] is what one request or job uses: [`Tx`] to write, [`Reader`] to read at a consistency level;
//! - [`Session`] and [`Token`] carry what a client has written and seen;
//! - [`Effect`] and the [`Outbox`] make other tiers' consequences happen if, and only if, the commit does;
//! - [`MigrationSet`] is a tier's schema.
//!
//! It knows no other tier. What is not promised: snapshot isolation across the primary and its replicas.

mod budget;
mod commit;
mod config;
mod connection;
mod connector;
mod database;
mod db;
mod effect;
mod epoch;
mod error;
pub mod idempotency;
mod lane;
mod level;
mod meters;
mod migrate;
mod opening;
mod outbox;
mod read;
mod reader;
mod request;
mod row;
mod servers;
mod session;
mod sql;
mod stamp;
mod statements;
mod stream;
mod tail;
mod tls;
mod token;
mod tx;
mod url;

pub mod local;

#[cfg(feature = "testing")]
pub mod testing;

pub use budget::ConnectionBudget;
pub use commit::{Committed, EFFECTS_MAX};
pub use config::{Config, ReplicaUrl, ServerEntry, WhenAlone};
pub use connection::{Connection, Params};
pub use database::Database;
pub use db::Db;
pub use effect::{Effect, OutboxRecord};
pub use epoch::Epoch;
pub use error::Error;
pub use lane::{Exclusive, Heard, Shared};
pub use level::{InvalidLevel, Read};
pub use migrate::{Applied, MIGRATIONS, Migration, MigrationSet, SchemaMismatch};
pub use outbox::{Outbox, OutboxRow};
pub use reader::Reader;
pub use row::FromRow;
pub use servers::{ServerRole, ServerStatus};
pub use session::{Position, Session};
pub use stamp::{Evidence, Stamp};
pub use tail::{TAIL_LAG_MAX, Tail};
pub use token::{InvalidToken, Keys, TOKEN_TEXT_BYTES, Token};
pub use tx::{Savepoint, Tx};

pub use tokio_postgres;
