//! Where a member of etcd answers.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// A member's address, as in `http://host:2379`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint {
    /// Whether it is `https`.
    pub is_encrypted: bool,
    /// A name or an address; one of version 6 stands in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    /// A path, a user or a password has no place in it.
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        // What is wrong may be a password, so it is not repeated.
        let (scheme, authority) = text.split_once("://").ok_or(InvalidEndpoint)?;
        let is_encrypted = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(InvalidEndpoint),
        };
        let (host, port) = authority.rsplit_once(':').ok_or(InvalidEndpoint)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(InvalidEndpoint)?;
        let name = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let is_host = match name {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            }
        };
        if is_host { Ok(Self { is_encrypted, host: host.to_owned(), port }) } else { Err(InvalidEndpoint) }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: String) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A text that is no address of etcd.
#[derive(Debug, thiserror::Error)]
#[error(
    "no address of etcd: write http://host:port or https://host:port, with the user in coordination.user"
)]
pub struct InvalidEndpoint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port_and_a_password_is_not_repeated() {
        for right in ["http://one:2379", "https://etcd-1.internal:2379", "http://[::1]:2379"] {
            let endpoint: Endpoint = right.parse().unwrap();
            assert!(right.ends_with(&endpoint.to_string()), "{endpoint}");
        }
        let wrongs = [
            "one:2379",
            "http://one",
            "ftp://one:1",
            "http://app:secret@one:1",
            "http://one:1/v3",
            "http://:1",
        ];
        for wrong in wrongs {
            let refused = wrong.parse::<Endpoint>().unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
