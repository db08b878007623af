//! What Onefold is compared with, and what stands behind it: other proxies, bare servers.

mod app;
mod backend;
mod haproxy;
mod nginx;
mod prometheus;
mod rows;

pub(crate) use app::serve as serve_app;
pub(crate) use backend::serve as serve_backends;
pub(crate) use haproxy::Haproxy;
pub(crate) use nginx::Nginx;
pub(crate) use prometheus::Prometheus;
pub(crate) use rows::serve as serve_rows;

/// Whether a proxy writes a line for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessLog {
    Off,
    /// To a file.
    On,
}
