//! Where the servers are, as the configuration says.

use crate::config::Config;
use crate::error::Error;
use crate::tls::{Protection, Tls};
use crate::url::{Aim, Url};
use onefold_core::topology::{Fault, Faults};
use onefold_core::{NodeName, Secret, Zone};
use tokio_postgres::config::{Host, SslMode};

const DEFAULT_PORT: u16 = 5432;

/// One server's address and credentials.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: NodeName,
    pub(crate) zone: Option<Zone>,
    pub(crate) address: String,
    pub(crate) target: tokio_postgres::Config,
    pub(crate) tls: Tls,
    pub(crate) protection: Protection,
    pub(crate) hides_several: bool,
}

/// All servers that the configuration names; a host that it names twice is one.
pub(crate) fn endpoints(config: &Config) -> Result<Vec<Endpoint>, Error> {
    let (mut found, mut faults): (Vec<Endpoint>, Vec<Fault>) = Default::default();
    let mut add = |named: Result<Vec<Endpoint>, Fault>| match named {
        Ok(endpoints) => {
            for endpoint in endpoints {
                if !found.iter().any(|known| known.address == endpoint.address) {
                    found.push(endpoint);
                }
            }
        }
        Err(fault) => faults.push(fault),
    };
    for (i, entry) in config.servers.iter().enumerate() {
        let of = Named { zone: entry.zone.as_ref(), aim: Aim::Primary, hides_several: false };
        let mut named = hosts(&format!("database.servers[{i}].url"), &entry.url, of, config);
        for endpoint in named.iter_mut().flatten() {
            endpoint.name = entry.name.clone();
        }
        add(named);
    }
    for (i, replica) in config.replica_urls.iter().enumerate() {
        let of =
            Named { zone: replica.zone.as_ref(), aim: Aim::Replica, hides_several: replica.hides_several };
        add(hosts(&format!("database.replica_urls[{i}]"), &replica.url, of, config));
    }
    let direct = config.direct_url.as_ref().map(|url| ("database.direct_url", url));
    if let Some((key, url)) = direct.or(config.url.as_ref().map(|url| ("database.url", url))) {
        add(hosts(key, url, Named { zone: None, aim: Aim::Primary, hides_several: false }, config));
    }
    if found.is_empty() && faults.is_empty() {
        let fix = "write url = \"env:DATABASE_URL\" in [database], or start the system with `up`";
        faults.push(Fault::new("database.url", "no server is named", fix));
    }
    Faults(faults).into_result().map_err(Error::Config)?;
    Ok(found)
}

/// What the configuration says of a URL's hosts.
#[derive(Clone, Copy)]
struct Named<'a> {
    zone: Option<&'a Zone>,
    aim: Aim,
    hides_several: bool,
}

/// A URL may name several hosts; each is a server of its own here, since we choose among them by role.
fn hosts(key: &str, url: &Secret, of: Named<'_>, config: &Config) -> Result<Vec<Endpoint>, Fault> {
    let url = Url::parse(key, url, of.aim)?;
    let ports = url.parsed.get_ports();
    let hosts = url.parsed.get_hosts().iter().enumerate().map(|(i, host)| {
        let port = ports.get(i).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
        let protection = url.protection(host);
        let tls = Tls::load(key, protection, &url.files, config.ca.as_deref())?;
        let (address, target) = target(&url.parsed, host, port, protection);
        let (name, zone) = (name_of(&address), of.zone.cloned());
        Ok(Endpoint { name, zone, address, target, tls, protection, hides_several: of.hides_several })
    });
    hosts.collect()
}

/// One host's address, and what a connection to it needs.
fn target(
    parsed: &tokio_postgres::Config,
    host: &Host,
    port: u16,
    protection: Protection,
) -> (String, tokio_postgres::Config) {
    let mut target = tokio_postgres::Config::new();
    let mode = if protection == Protection::Disable { SslMode::Disable } else { SslMode::Require };
    target.port(port).ssl_mode(mode).ssl_negotiation(parsed.get_ssl_negotiation());
    let shown = match host {
        Host::Tcp(name) => {
            target.host(name);
            name.clone()
        }
        Host::Unix(path) => {
            target.host_path(path);
            path.display().to_string()
        }
    };
    if let Some(user) = parsed.get_user() {
        target.user(user);
    }
    if let Some(password) = parsed.get_password() {
        target.password(password);
    }
    if let Some(database) = parsed.get_dbname() {
        target.dbname(database);
    }
    if let Some(options) = parsed.get_options() {
        target.options(options);
    }
    (format!("{shown}:{port}"), target)
}

/// A name for a server that was given by URL alone.
fn name_of(address: &str) -> NodeName {
    let dashed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = address.chars().map(dashed).collect();
    let short = &name[name.len().saturating_sub(63)..];
    short.trim_matches('-').parse().unwrap_or_else(|_| "postgres".parse().expect("`postgres` is a name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ReplicaUrl;

    #[test]
    fn every_host_is_a_server_once() {
        let replica = |url: &str, zone: Option<&str>| ReplicaUrl {
            url: Secret::new(url),
            zone: zone.map(|zone| zone.parse().unwrap()),
            hides_several: false,
        };
        let config = Config {
            url: Some(Secret::new("postgres://u:p@h1:5432,h2:6000/app?sslmode=require")),
            replica_urls: vec![replica("postgres://u:p@h2:6000/app?sslmode=require", Some("b"))],
            ..Config::default()
        };
        let found = endpoints(&config).unwrap();
        let shown: Vec<_> = found.iter().map(|e| (e.address.as_str(), e.name.as_str())).collect();
        assert_eq!(shown, [("h2:6000", "h2-6000"), ("h1:5432", "h1-5432")]);
        assert_eq!(found[0].zone.as_ref().unwrap().as_str(), "b");
    }

    #[test]
    fn a_broken_url_is_refused_without_being_repeated() {
        for url in ["postgres://u:hunter2@h:notaport/", "hunter2", "host="] {
            let config = Config { url: Some(Secret::new(url)), ..Config::default() };
            let refused = endpoints(&config).unwrap_err().to_string();
            assert!(refused.contains("database.url") && !refused.contains("hunter2"), "{refused}");
        }
    }
}
