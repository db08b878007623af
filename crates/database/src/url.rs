//! A Postgres URL, as libpq writes them: hosts, account, database, and what of its options means something here.
//!
//! Roles are found by asking every host, so that `target_session_attrs` can only repeat what a setting means already.

use crate::tls::{Files, Protection};
use onefold_core::Secret;
use onefold_core::topology::Fault;
use percent_encoding::percent_decode_str;
use std::path::PathBuf;
use tokio_postgres::config::{Host, SslMode};

/// What stands in a URL.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    pub(crate) parsed: tokio_postgres::Config,
    protection: Option<Protection>,
    pub(crate) files: Files,
}

/// What the hosts of a URL are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The primary is among them.
    Primary,
    /// They are replicas.
    Replica,
}

/// Options that say nothing that the configuration does not say better.
const IGNORED: [&str; 8] = [
    "application_name",
    "fallback_application_name",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "tcp_user_timeout",
];
/// Options that the client library understands.
const PASSED: [&str; 7] = ["user", "password", "dbname", "options", "sslnegotiation", "host", "port"];

impl Url {
    /// Reads what `key` refers to.
    ///
    /// # Errors
    /// What is wrong with it; never a part that could belong to the password.
    pub(crate) fn parse(key: &str, url: &Secret, aim: Aim) -> Result<Self, Fault> {
        let fault = |problem: String, fix: &str| Fault::new(key, problem, fix);
        let (head, options) = split(url.expose());
        let (mut protection, mut files, mut passed) = (None, Files::default(), Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, raw) = option.split_once('=').unwrap_or((option, ""));
            let value = percent_decode_str(raw).decode_utf8_lossy();
            match name {
                "sslmode" => {
                    let read = value.parse().map_err(|why| {
                        fault(
                            format!("sslmode={value} {why}"),
                            "write disable, require, verify-ca or verify-full",
                        )
                    })?;
                    protection = Some(read);
                }
                "sslrootcert" => files.ca = Some(PathBuf::from(&*value)),
                "sslcert" => files.certificate = Some(PathBuf::from(&*value)),
                "sslkey" => files.key = Some(PathBuf::from(&*value)),
                "target_session_attrs" => {
                    aim.accepts(&value).map_err(|fix| fault(format!("target_session_attrs={value}"), fix))?;
                }
                "channel_binding" if value == "require" => {
                    let fix = "leave it out: sslmode=verify-full proves who answers";
                    return Err(fault("channel_binding=require is not spoken".to_owned(), fix));
                }
                "channel_binding" => {}
                name if IGNORED.contains(&name) => {}
                name if PASSED.contains(&name) => passed.push(option),
                // A password with a `?` in it ends up here: nothing of it is shown.
                _ => {
                    let fix = "write sslmode, sslrootcert, sslcert, sslkey, target_session_attrs, options, sslnegotiation; \
                               and %3F, %26, %40 for ?, &, @ in a password";
                    return Err(fault("has an option that is not known here".to_owned(), fix));
                }
            }
        }
        let rest = if passed.is_empty() { head.to_owned() } else { format!("{head}?{}", passed.join("&")) };
        let fix = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE into what it refers to";
        // The parser's own message could repeat the password.
        let parsed: tokio_postgres::Config =
            rest.parse().map_err(|_| fault("is no Postgres URL".to_owned(), fix))?;
        if parsed.get_hosts().is_empty() {
            return Err(fault("names no host".to_owned(), fix));
        }
        let ports = parsed.get_ports().len();
        if ports > 1 && ports != parsed.get_hosts().len() {
            return Err(fault("names several ports, and not one for each host".to_owned(), fix));
        }
        // In libpq's other form, `host=… sslmode=…`, only these two can be told from silence.
        let protection = protection.or(match parsed.get_ssl_mode() {
            SslMode::Disable => Some(Protection::Disable),
            SslMode::Require => Some(Protection::Require),
            _ => None,
        });
        Ok(Self { parsed, protection, files })
    }

    /// How a connection to one of its hosts is protected: what it says, or else fully, but for this machine's own servers.
    pub(crate) fn protection(&self, host: &Host) -> Protection {
        let is_local = match host {
            Host::Tcp(name) => {
                name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            Host::Unix(_) => return Protection::Disable,
        };
        let by_itself = if is_local { Protection::Disable } else { Protection::VerifyFull };
        self.protection.unwrap_or(by_itself)
    }
}

impl Aim {
    fn accepts(self, attributes: &str) -> Result<(), &'static str> {
        match (self, attributes) {
            (_, "any")
            | (Self::Primary, "read-write" | "primary")
            | (Self::Replica, "read-only" | "standby" | "prefer-standby") => Ok(()),
            (Self::Primary, _) => {
                Err("write read-write or leave it out here: replicas stand in replica_urls")
            }
            (Self::Replica, _) => Err("write standby or leave it out here: the primary stands in url"),
        }
    }
}

/// The URL before its options, and these. What stands before the `@` may hold a `?` of its own.
fn split(url: &str) -> (&str, &str) {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return (url, "");
    }
    let hosts = url.find('@').unwrap_or(0);
    match url[hosts..].find('?') {
        Some(at) => (&url[..hosts + at], &url[hosts + at + 1..]),
        None => (url, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<Url, String> {
        Url::parse("database.url", &Secret::new(url), Aim::Primary).map_err(|fault| fault.to_string())
    }

    #[test]
    fn every_option_of_libpq_means_something_or_is_refused() {
        let url = parsed(
            "postgres://u:p%3Fw@h1:5432,h2:5433/db?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem&sslcert=/c.pem\
             &sslkey=/k.pem&target_session_attrs=read-write&connect_timeout=3&options=-c%20a%3Db",
        )
        .unwrap();
        assert_eq!(url.parsed.get_ports(), [5432, 5433]);
        assert_eq!(url.parsed.get_password(), Some(b"p?w".as_slice()));
        assert_eq!(url.parsed.get_options(), Some("-c a=b"));
        assert_eq!(url.files.ca.as_deref(), Some(std::path::Path::new("/etc/ca.pem")));
        assert_eq!(url.protection(&Host::Tcp("127.0.0.1".to_owned())), Protection::VerifyCa);
        for (url, told) in [
            ("postgres://u:hunter2@h/db?sslmode=prefer", "goes on without TLS"),
            ("postgres://u:hunter2@h/db?sslmode=on", "verify-full"),
            ("postgres://u:hunter2@h/db?target_session_attrs=standby", "replica_urls"),
            ("postgres://u:hunter2@h/db?channel_binding=require", "verify-full"),
            ("postgres://u:x@y?hunter2@h/db", "%3F"),
            ("host=h1,h2,h3 port=1,2 password=hunter2", "one for each host"),
        ] {
            let refused = parsed(url).unwrap_err();
            assert!(refused.contains(told) && !refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn off_this_machine_a_server_is_verified_unless_the_url_says_otherwise() {
        let host = |name: &str| Host::Tcp(name.to_owned());
        let silent = parsed("postgres://u:p@h/db").unwrap();
        assert_eq!(silent.protection(&host("db.example")), Protection::VerifyFull);
        assert_eq!(silent.protection(&host("10.0.0.1")), Protection::VerifyFull);
        for local in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(silent.protection(&host(local)), Protection::Disable);
        }
        let told = parsed("postgres://u:p@h/db?sslmode=disable").unwrap();
        assert_eq!(told.protection(&host("db.example")), Protection::Disable);
        let other_form = parsed("host=h user=u sslmode=require").unwrap();
        assert_eq!(other_form.protection(&host("h")), Protection::Require);
    }
}
