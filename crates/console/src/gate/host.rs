//! The `Host` that a request names. A page of a foreign name that was pointed at this address (DNS rebinding) would
//! be same-origin to the browser, and only its name tells.

use crate::config::Config;
use crate::problem::Problem;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use std::collections::HashSet;

/// The names under which this console answers, in lower case and without port.
#[derive(Debug)]
pub(crate) struct Hosts(HashSet<String>);

impl Hosts {
    pub(crate) fn new(config: &Config) -> Self {
        let mut names: HashSet<String> = config.hosts.iter().map(|host| host.to_lowercase()).collect();
        let ip = config.listen.ip();
        if !ip.is_unspecified() {
            names.insert(ip.to_string());
        }
        if ip.is_loopback() || ip.is_unspecified() {
            names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        }
        Self(names)
    }

    /// The request's host with its port, in lower case. Any port will do: a forwarded one differs from ours, and the
    /// name is what protects.
    pub(crate) fn check(&self, request: &Request) -> Result<String, Problem> {
        let mut lines = request.headers().get_all(header::HOST).iter();
        let authority = match (request.uri().authority(), lines.next(), lines.next()) {
            (Some(authority), _, None) => Some(authority.as_str()),
            (None, Some(line), None) => line.to_str().ok(),
            // None at all, or several: two programs could take different ones.
            _ => None,
        };
        let authority = authority.map(str::to_lowercase);
        match authority.as_deref().and_then(name_of) {
            Some(name) if self.0.contains(name) => Ok(authority.unwrap_or_default()),
            _ => {
                let detail = "this console does not answer to that Host; add the name to console.hosts";
                Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
            }
        }
    }
}

/// The name of `name`, `name:port`, `[v6]` or `[v6]:port`.
fn name_of(authority: &str) -> Option<&str> {
    let (name, rest) = if let Some(bracketed) = authority.strip_prefix('[') {
        bracketed.split_once(']')?
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn status(config: &Config, hosts: &[&str]) -> Option<u16> {
        let mut request = axum::http::Request::builder().uri("/");
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let request = request.body(Body::empty()).unwrap();
        Hosts::new(config).check(&request).err().map(|problem| problem.status.as_u16())
    }

    #[test]
    fn own_names_pass_with_any_port_and_foreign_names_do_not() {
        let config = Config { hosts: vec!["Console.Example.com".into()], ..Config::default() };
        let own =
            ["localhost", "LOCALHOST:8500", "127.0.0.1:9000", "[::1]:8500", "console.example.com", "[::1]"];
        for host in own {
            assert_eq!(status(&config, &[host]), None, "{host}");
        }
        let foreign = [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "",
            "localhost:",
            "[::1",
            "a@localhost",
        ];
        for host in foreign {
            assert_eq!(status(&config, &[host]), Some(421), "{host}");
        }
        assert_eq!(status(&config, &[]), Some(421));
        assert_eq!(status(&config, &["localhost", "localhost"]), Some(421));
    }

    #[test]
    fn a_listener_elsewhere_answers_to_its_address_and_not_to_localhost() {
        let config = Config { listen: "10.0.0.7:8500".parse().unwrap(), ..Config::default() };
        assert_eq!(status(&config, &["10.0.0.7:8500"]), None);
        assert_eq!(status(&config, &["localhost:8500"]), Some(421));
    }
}
