//! The table `[console]`.

mod validate;

use onefold_core::deadline::duration_text;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the console may be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens. Default `127.0.0.1:8500`; another address than loopback needs `tls` and `read = "token"`.
    pub listen: SocketAddr,
    /// Names beside `localhost` and the listener's address under which browsers reach it, without a port. Default
    /// none. Requests to any other name are refused, so that a foreign name pointed here (DNS rebinding) fails.
    pub hosts: Vec<String>,
    /// Who may read. Default `token`.
    pub read: Read,
    /// The certificate that it shows. Default none: plain HTTP.
    pub tls: Option<Tls>,
    /// A file to which each change is appended as a line of JSON. Default none: changes are only logged.
    pub audit: Option<PathBuf>,
    /// How long a session may go unused. Default 8 h: a working day.
    #[serde(with = "duration_text")]
    pub session_idle: Duration,
    /// How long a session may live at all. Default 24 h.
    #[serde(with = "duration_text")]
    pub session_age_max: Duration,
    /// Sessions at once; one more ends the one that was unused for longest. Default 64.
    pub sessions_max: usize,
}

/// Who may read through the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// Everybody on this machine. Changes need a token all the same.
    Open,
    /// Who has a token or a session.
    #[default]
    Token,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8500)),
            hosts: Vec::new(),
            read: Read::default(),
            tls: None,
            audit: None,
            session_idle: Duration::from_hours(8),
            session_age_max: Duration::from_hours(24),
            sessions_max: 64,
        }
    }
}
