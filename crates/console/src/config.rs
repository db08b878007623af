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

impl Config {
    /// How a browser reaches the console at this address: `http://127.0.0.1:8500`. With TLS by a name, as the
    /// certificate holds one: the first of `hosts`, or `localhost`.
    pub fn origin(&self, address: SocketAddr) -> String {
        let (ip, port) = (address.ip(), address.port());
        let is_here = ip.is_loopback() || ip.is_unspecified();
        match (&self.tls, self.hosts.first()) {
            (Some(_), Some(host)) if host.contains(':') => format!("https://[{host}]:{port}"),
            (Some(_), Some(host)) => format!("https://{host}:{port}"),
            (Some(_), None) if is_here => format!("https://localhost:{port}"),
            (Some(_), None) => format!("https://{address}"),
            (None, _) if ip.is_unspecified() => format!("http://localhost:{port}"),
            (None, _) => format!("http://{address}"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_speaks_the_listener_s_protocol_under_a_name_that_it_answers_to() {
        let tls = || Some(Tls { certificate: "c".into(), key: "k".into() });
        let origin = |tls, hosts: &[&str], address: &str| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            Config { hosts, tls, ..Config::default() }.origin(address.parse().unwrap())
        };
        assert_eq!(origin(None, &["a.example"], "127.0.0.1:8500"), "http://127.0.0.1:8500");
        assert_eq!(origin(tls(), &[], "127.0.0.1:8500"), "https://localhost:8500");
        assert_eq!(origin(tls(), &[], "[::]:8500"), "https://localhost:8500");
        assert_eq!(origin(tls(), &[], "[fe80::1]:8500"), "https://[fe80::1]:8500");
        assert_eq!(origin(tls(), &["a.example", "b.example"], "0.0.0.0:8500"), "https://a.example:8500");
        assert_eq!(origin(tls(), &["fe80::1"], "0.0.0.0:8500"), "https://[fe80::1]:8500");
    }
}
