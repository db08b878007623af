//! Where the servers are, as the configuration says.

use crate::config::Config;
use crate::error::Error;
use onefold_core::topology::{Fault, Faults};
use onefold_core::{NodeName, Secret, Zone};
use tokio_postgres::config::Host;

const DEFAULT_PORT: u16 = 5432;

/// One server's address and credentials.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: NodeName,
    pub(crate) zone: Option<Zone>,
    pub(crate) address: String,
    pub(crate) target: tokio_postgres::Config,
    pub(crate) hides_several: bool,
}

/// All servers that the configuration names; a host that it names twice is one.
pub(crate) fn endpoints(config: &Config) -> Result<Vec<Endpoint>, Error> {
    let mut found: Vec<Endpoint> = Vec::new();
    for (i, entry) in config.servers.iter().enumerate() {
        let key = format!("database.servers[{i}].url");
        for mut endpoint in hosts(&key, &entry.url, entry.zone.as_ref(), false)? {
            endpoint.name = entry.name.clone();
            add(&mut found, endpoint);
        }
    }
    for (i, replica) in config.replica_urls.iter().enumerate() {
        let key = format!("database.replica_urls[{i}]");
        for endpoint in hosts(&key, &replica.url, replica.zone.as_ref(), replica.hides_several)? {
            add(&mut found, endpoint);
        }
    }
    if let Some(url) = &config.url {
        for endpoint in hosts("database.url", url, None, false)? {
            add(&mut found, endpoint);
        }
    }
    if found.is_empty() {
        let fix = "write url = \"env:DATABASE_URL\" in [database], or start the system with `up`";
        return Err(Error::Config(Fault::new("database.url", "no server is named", fix).into()));
    }
    Ok(found)
}

fn add(found: &mut Vec<Endpoint>, endpoint: Endpoint) {
    if !found.iter().any(|known| known.address == endpoint.address) {
        found.push(endpoint);
    }
}

/// A URL may name several hosts; each is a server of its own here, since we choose among them by role.
fn hosts(key: &str, url: &Secret, zone: Option<&Zone>, hides_several: bool) -> Result<Vec<Endpoint>, Error> {
    let invalid = |problem: &str| {
        let fix = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE into what it refers to";
        Error::Config(Faults::from(Fault::new(key, problem, fix)))
    };
    // The parser's own message could repeat the password.
    let parsed: tokio_postgres::Config = url.expose().parse().map_err(|_| invalid("is no Postgres URL"))?;
    if parsed.get_hosts().is_empty() {
        return Err(invalid("names no host"));
    }
    let ports = parsed.get_ports();
    let hosts = parsed.get_hosts().iter().enumerate().map(|(i, host)| {
        let port = ports.get(i).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
        endpoint(&parsed, host, port, zone.cloned(), hides_several)
    });
    Ok(hosts.collect())
}

fn endpoint(
    parsed: &tokio_postgres::Config,
    host: &Host,
    port: u16,
    zone: Option<Zone>,
    hides_several: bool,
) -> Endpoint {
    let mut target = tokio_postgres::Config::new();
    target.port(port).ssl_mode(parsed.get_ssl_mode());
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
    let address = format!("{shown}:{port}");
    Endpoint { name: name_of(&address), zone, address, target, hides_several }
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
            url: Some(Secret::new("postgres://u:p@h1,h2:6000/app")),
            replica_urls: vec![replica("postgres://u:p@h2:6000/app", Some("b"))],
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
