//! The database tier on real Postgres servers.

mod node;
mod tx;
