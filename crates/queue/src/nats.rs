//! The queue on NATS JetStream: Postgres keeps what waits, JetStream carries what is due, and Postgres says who
//! holds it.
//!
//! A job is a row of `job` until it is due; then the relay publishes it and deletes the row, in one
//! transaction that commits after the acknowledgements. From there on it is a message, until it is settled: done
//! (acknowledged), dead or recorded (a row, then the acknowledgement), or to be tried later (a row of `job` again,
//! then the acknowledgement). So a job that goes well costs Postgres one insert and one delete, and nothing for
//! its fetch and its completion but its share of a batch.
//!
//! **Who holds a message** is not what JetStream believes. It redelivers by its own clock, and takes an
//! acknowledgement from whomever it comes (nats-server 4786). A worker claims each batch by a row of `claim` under
//! its lease; `run` is that row's id, and the fence: a settlement, or a completion in a handler's transaction,
//! needs the row. A rescue removes the rows of workers whose lease has ended, and negatively acknowledges for
//! them. A message that comes again while another worker's lease on it is in force is put off.
//!
//! **Delays** are rows too: one that JetStream keeps (a negative acknowledgement with a delay) cannot be listed,
//! cut short or cancelled, and a new leader of the consumer forgets it. It is used where nothing but the transport
//! is late.
//!
//! Streams: one for each queue, with work-queue retention and a consumer for each priority, since one consumer
//! hands out in the order of arrival, and servers before 2.10 know one filter for each.

mod answers;
mod claims;
mod ends;
mod fetcher;
mod hand;
mod handshake;
mod ledger;
pub mod local;
mod parcel;
mod payer;
mod relay;
mod rescue;
mod server;
#[cfg_attr(not(feature = "testing"), expect(unreachable_pub, reason = "benchmarks run some of them"))]
mod sql;
mod store;
mod streams;
mod target;
mod version;

/// The statements of the hot path, for benchmarks that run them raw.
#[cfg(feature = "testing")]
pub mod statements {
    pub use super::sql::{CANCELLED_AMONG, CLAIM, CLOSE, END, TAKE};
}

pub use server::Server;
pub use store::Nats;
pub use version::Facts;
