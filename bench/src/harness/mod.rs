//! How measurements are made: pinned processes, CPU time, interleaved rounds, result files.

mod cpu;
mod disk;
mod engines;
mod host;
mod http;
mod load;
mod machine;
mod postgres;
mod process;
mod result;
mod rounds;
mod spread;
mod wrk;

pub(crate) use cpu::{CpuTime, proportional_bytes, resident_bytes, settle, tree};
pub(crate) use disk::disk_bytes;
pub(crate) use engines::{PinnedEngine, Tables};
pub(crate) use http::{encoded, get, post};
pub(crate) use load::{Count, Stopwatch, run_load};
pub(crate) use machine::{crate_version, version_of};
pub(crate) use postgres::{PinnedCluster, PinnedPostgres};
pub(crate) use process::{
    ALL_CORES, LOAD_CORE, Pinned, SERVER_CORE, free_port, free_ports, pin, wait_for_port,
};
pub(crate) use result::{Goal, Outcome, Row, Versus};
pub(crate) use rounds::{Settings, Table};
pub(crate) use spread::Spread;
pub(crate) use wrk::{Wrk, WrkReport};
