//! `cache.url`: where Redis is, and how it is entered. What is said of a wrong one never repeats its password.

use onefold_core::Secret;
use percent_encoding::percent_decode_str;
use std::fmt;

const PORT: u16 = 6379;
const SEEDS_MAX: usize = 64;

/// A server, by the name by which it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Endpoint {
    /// Reads `host:port`, `[v6]:port` or, as a cluster says it, `v6:port`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// One server, or a cluster of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Cluster,
}

/// What the URL says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Address {
    pub(crate) shape: Shape,
    pub(crate) tls: bool,
    /// Where to ask first.
    pub(crate) seeds: Vec<Endpoint>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(url: &Secret) -> Result<Self, String> {
        let (scheme, rest) = url.expose().split_once("://").ok_or("it is no URL")?;
        let (shape, tls) = match scheme {
            "redis" => (Shape::Single, false),
            "rediss" => (Shape::Single, true),
            "redis-cluster" => (Shape::Cluster, false),
            "rediss-cluster" => (Shape::Cluster, true),
            _ => return Err("its scheme is none of redis, rediss, redis-cluster, rediss-cluster".to_owned()),
        };
        let (entry, rest) = match rest.rsplit_once('@') {
            Some((entry, rest)) => (Some(entry), rest),
            None => (None, rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(path, "" | "0") {
            return Err(
                "it names a database or has options; the cache uses database 0 and has none".to_owned()
            );
        }
        let seeds = hosts.split(',').map(seed).collect::<Result<Vec<_>, _>>()?;
        if seeds.len() > SEEDS_MAX {
            return Err(format!(
                "it names {} servers; {SEEDS_MAX} are plenty, the rest is found",
                seeds.len()
            ));
        }
        if shape == Shape::Single && seeds.len() > 1 {
            return Err(format!("it names {} servers of a single Redis", seeds.len()));
        }
        let (user, password) = entry.map(entered).transpose()?.unwrap_or_default();
        Ok(Self { shape, tls, seeds, user, password })
    }
}

fn seed(text: &str) -> Result<Endpoint, String> {
    let wrong = || "a server in it has no host or no port that is a number".to_owned();
    let bare = text.rfind(':').is_none_or(|colon| text.rfind(']').is_some_and(|bracket| bracket > colon));
    let endpoint = if bare { Endpoint::parse(&format!("{text}:{PORT}")) } else { Endpoint::parse(text) };
    endpoint.filter(|endpoint| !endpoint.host.is_empty() && endpoint.port > 0).ok_or_else(wrong)
}

/// Reads `user:password`, where either may be missing.
fn entered(entry: &str) -> Result<(Option<String>, Option<Secret>), String> {
    let decoded = |part: &str| {
        let text = percent_decode_str(part).decode_utf8();
        text.map(|text| Some(text.into_owned()).filter(|text| !text.is_empty()))
    };
    let wrong = |_| "its user or password is no UTF-8".to_owned();
    let (user, password) = entry.split_once(':').ok_or("it has a user without a password")?;
    Ok((decoded(user).map_err(wrong)?, decoded(password).map_err(wrong)?.map(Secret::new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(&Secret::new(url))
    }

    #[test]
    fn a_url_names_servers_and_how_they_are_entered() {
        let address = parse("rediss-cluster://app:p%40ss%3A@h1:7000,h2,[::1]:7002").unwrap();
        assert_eq!((address.shape, address.tls), (Shape::Cluster, true));
        let seeds: Vec<String> = address.seeds.iter().map(ToString::to_string).collect();
        assert_eq!(seeds, ["h1:7000", "h2:6379", "[::1]:7002"]);
        assert_eq!(address.user.as_deref(), Some("app"));
        assert_eq!(address.password.unwrap().expose(), "p@ss:");
        assert_eq!(parse("redis://h").unwrap().password, None);
        assert_eq!(parse("redis://:secret@[::1]/0").unwrap().user, None);
    }

    #[test]
    fn what_is_said_of_a_wrong_url_repeats_no_password() {
        for url in [
            "hunter2",
            "http://u:hunter2@h",
            "redis://hunter2@h",
            "redis://u:hunter2@h:port",
            "redis://u:hunter2@h/1",
            "redis://u:hunter2@h1,h2",
            "redis://u:hunter2@:6379",
        ] {
            let problem = parse(url).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
