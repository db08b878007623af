//! What can come of a call: where to go instead, or why not.

use super::address::Endpoint;
use crate::l2::Error;
use redis::{RedisError, ServerError, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The slot is elsewhere.
    Moved(Option<Endpoint>),
    /// The slot is on its way there.
    Ask(Option<Endpoint>),
    /// The slot is on its way, and the keys are in two places.
    Moving,
    /// The server does not know the script.
    NoScript,
    /// It takes no writes any more, or serves nothing while its cluster is broken.
    Down(String),
    /// It did not answer in time.
    Silent,
    /// The connection is gone.
    Gone,
    /// It says no.
    Refused(String),
}

impl Trouble {
    /// The error in an answer, if it is one.
    pub(crate) fn in_answer(answer: &Value) -> Option<Self> {
        match answer {
            Value::ServerError(error) => Some(Self::of_server(error)),
            _ => None,
        }
    }

    fn of_server(error: &ServerError) -> Self {
        Self::of_code(error.code(), error.details())
    }

    fn of_code(code: &str, details: Option<&str>) -> Self {
        let target = || Endpoint::parse(details?.split_ascii_whitespace().nth(1)?);
        match code {
            "MOVED" => Self::Moved(target()),
            "ASK" => Self::Ask(target()),
            "TRYAGAIN" => Self::Moving,
            "NOSCRIPT" => Self::NoScript,
            "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" | "LOADING" => Self::Down(code.to_owned()),
            _ => Self::Refused(format!("{code} {}", details.unwrap_or_default())),
        }
    }

    /// As traces call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Moved(_) | Self::Ask(_) | Self::Moving => "moved",
            Self::NoScript => "no script",
            Self::Down(_) => "down",
            Self::Silent => "timeout",
            Self::Gone => "connection lost",
            Self::Refused(_) => "refused",
        }
    }

    pub(crate) fn at(self, at: &Endpoint) -> Error {
        let server = at.to_string();
        match self {
            Self::Silent => Error::Timeout,
            Self::Gone => Error::Away { server },
            Self::Moved(_) | Self::Ask(_) | Self::Moving => Error::Moving,
            Self::NoScript => Error::Refused { server, reason: "it forgets its scripts".to_owned() },
            Self::Down(reason) | Self::Refused(reason) => Error::Refused { server, reason },
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some(code) => Self::of_code(code, error.detail()),
            None if error.is_unrecoverable_error() || error.is_io_error() => Self::Gone,
            None => Self::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_elsewhere_names_the_place() {
        let at = |host: &str, port| Some(Endpoint { host: host.to_owned(), port });
        assert_eq!(
            Trouble::of_code("MOVED", Some("8000 10.0.0.1:7001")),
            Trouble::Moved(at("10.0.0.1", 7001))
        );
        assert_eq!(Trouble::of_code("ASK", Some("8000 ::1:7001")), Trouble::Ask(at("::1", 7001)));
        assert_eq!(Trouble::of_code("MOVED", Some("8000")), Trouble::Moved(None));
    }
}
