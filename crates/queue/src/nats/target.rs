//! Where NATS is, and who a node is to it.

use super::handshake;
use super::server::{CALL_MAX, NATS, causes};
use crate::{Config, Error};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, ServerAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How long a first connection may take before it goes on in the background.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// What comes between two attempts to connect again, at most: a server that is back is used soon.
const RECONNECT_MAX: Duration = Duration::from_millis(500);

/// Where to connect, and as whom.
pub(super) struct Target {
    pub(super) servers: Vec<ServerAddr>,
    user: Option<(String, Option<String>)>,
    pub(super) address: String,
    pub(super) is_tls: bool,
    pub(super) ca: Option<PathBuf>,
}

impl Target {
    pub(super) fn of(config: &Config) -> Result<Self, Error> {
        let fix =
            "write queue.url as nats://user:password@h1:4222,h2:4222, or tls://… where the servers speak TLS";
        let Some(url) = &config.url else {
            return Err(unusable("nowhere", "queue.url is not set".to_owned(), fix));
        };
        let (scheme, rest) = url.expose().split_once("://").unwrap_or(("nats", url.expose()));
        let (user, hosts) = rest.rsplit_once('@').map_or((None, rest), |(user, hosts)| (Some(user), hosts));
        let hosts: Vec<&str> = hosts.split(',').map(|host| host.trim().trim_end_matches('/')).collect();
        let address = hosts.join(",");
        if !matches!(scheme, "nats" | "tls") {
            return Err(unusable(&address, format!("`{scheme}://` is no scheme of NATS here"), fix));
        }
        // A repeated scheme (`nats://a,nats://b`) is what other clients take, too.
        let parse = |host: &&str| {
            let host = host.rsplit_once("://").map_or(*host, |(_, host)| host);
            format!("{scheme}://{host}").parse::<ServerAddr>()
        };
        let servers = hosts.iter().map(parse).collect::<Result<Vec<_>, _>>();
        let servers = servers.map_err(|error| unusable(&address, error.to_string(), fix))?;
        if servers.iter().any(|server| server.host().is_empty()) {
            return Err(unusable(&address, "a host is missing".to_owned(), fix));
        }
        let user = user.map(|user| match user.split_once(':') {
            Some((user, password)) => (decoded(user), Some(decoded(password))),
            None => (decoded(user), None),
        });
        Ok(Self { servers, user, address, is_tls: scheme == "tls", ca: config.ca.clone() })
    }

    fn options(&self, config: &Config, name: &str) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(Duration::from_secs(2))
            .request_timeout(Some(CALL_MAX))
            .ping_interval(Duration::from_secs(5))
            .reconnect_delay_callback(|attempts| {
                let step = u32::try_from(attempts).unwrap_or(u32::MAX);
                Duration::from_millis(20).saturating_mul(step).min(RECONNECT_MAX)
            })
            .event_callback(async |event| tracing::debug!("NATS: {event}"))
            .require_tls(self.is_tls);
        if let Some(ca) = &config.ca {
            options = options.add_root_certificates(ca.clone());
        }
        match (&config.token, &self.user) {
            (Some(token), _) => options.token(token.expose().to_owned()),
            (None, Some((user, Some(password)))) => options.user_and_password(user.clone(), password.clone()),
            (None, Some((token, None))) => options.token(token.clone()),
            (None, None) => options,
        }
    }

    /// Connects. Who does not answer yet is tried on in the background.
    ///
    /// # Errors
    /// [`Error::Unusable`] where trying again cannot help.
    pub(super) async fn connect(&self, config: &Config, name: &str) -> Result<Client, Error> {
        handshake::check_authority(self)?;
        let connecting = self.options(config, name).connect(self.servers.clone());
        match tokio::time::timeout(CONNECT_MAX, connecting).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => {
                self.refusal(&error).await?;
                self.connect_later(config, name, &causes(&error)).await
            }
            Err(_) => {
                handshake::check(self).await?;
                self.connect_later(config, name, &format!("no answer within {CONNECT_MAX:?}")).await
            }
        }
    }

    async fn refusal(&self, error: &ConnectError) -> Result<(), Error> {
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                let fix = "correct the user and password in queue.url, or queue.token";
                Err(self.unusable("it refuses these credentials", fix))
            }
            ConnectErrorKind::ServerParse => {
                Err(self.unusable(causes(error), "write queue.url as nats://h1:4222,h2:4222"))
            }
            ConnectErrorKind::Tls => {
                handshake::check(self).await?;
                let fix = "name its authority in queue.ca, and write tls:// only where the servers speak TLS";
                Err(self.unusable(format!("no TLS: {}", causes(error)), fix))
            }
            _ => handshake::check(self).await,
        }
    }

    /// A client that goes on trying in the background.
    async fn connect_later(&self, config: &Config, name: &str, why: &str) -> Result<Client, Error> {
        tracing::warn!(
            "queue: nats at {} does not answer ({why}): tried again; jobs are kept in the database meanwhile",
            self.address
        );
        let options = self.options(config, name).retry_on_initial_connect();
        let client = options.connect(self.servers.clone()).await;
        client.map_err(|error| self.unusable(causes(&error), "correct queue.url"))
    }

    pub(super) fn unusable(&self, problem: impl Into<String>, fix: &str) -> Error {
        unusable(&self.address, problem.into(), fix)
    }
}

/// An error that stays, of what is at an address.
pub(super) fn unusable(address: &str, problem: String, fix: &str) -> Error {
    Error::Unusable { engine: NATS, address: address.to_owned(), problem, fix: fix.to_owned() }
}

/// Percent-encoding taken back, as in the user and password of a URL.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Secret;

    fn target(url: &str) -> Result<Target, Error> {
        Target::of(&Config { url: Some(Secret::new(url)), ..Config::default() })
    }

    #[test]
    fn several_hosts_share_a_user_and_the_address_shows_no_password() {
        let several = target("nats://app:s%40cret@h1:4222,h2,h3:4000").unwrap();
        assert_eq!(several.address, "h1:4222,h2,h3:4000");
        assert_eq!(several.user, Some(("app".to_owned(), Some("s@cret".to_owned()))));
        assert_eq!(several.servers.len(), 3);
        assert_eq!(several.servers[1].port(), 4222);
        assert!(target("tls://h").unwrap().is_tls);
        assert!(target("nats://h1,nats://h2").is_ok());
    }

    #[test]
    fn what_is_no_url_is_refused_without_the_password() {
        for url in ["http://u:hunter2@h", "nats://u:hunter2@", "nats://u:hunter2@h:port"] {
            let refused = target(url).err().expect(url).to_string();
            assert!(refused.contains("queue.url") && !refused.contains("hunter2"), "{refused}");
        }
    }
}
