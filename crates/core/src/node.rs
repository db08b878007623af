//! Who a node is: its name, its role, its zone, and which start of it this is.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

const NAME_BYTES_MAX: usize = 63;

/// The name of a node or engine, as in `app-a`: unique in its system, kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

/// A failure domain: a label on nodes and engines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

/// A name that does not fit.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no name: write 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit")]
pub struct InvalidName(String);

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName(text.chars().take(80).collect()))
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

name!(NodeName);
name!(Zone);

fn is_name(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    text.len() <= NAME_BYTES_MAX
        && edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes requests from clients and spreads them over the app nodes.
    Balancer,
    /// Runs the handlers.
    App,
    /// Runs the jobs.
    Worker,
    /// Collects telemetry and serves the console.
    Observer,
}

impl Role {
    /// Every role, in the order of the picture.
    pub const ALL: [Self; 4] = [Self::Balancer, Self::App, Self::Worker, Self::Observer];

    /// The role's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::App => "app",
            Self::Worker => "worker",
            Self::Observer => "observer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| InvalidRole(text.to_owned()))
    }
}

/// A text that is no role.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no role: it is one of balancer, app, worker, observer")]
pub struct InvalidRole(String);

/// One start of a node. Names are reused by the next start; a boot never is, so that what a dead start left
/// behind is not mistaken for its successor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boot(pub Uuid);

impl Boot {
    /// A new start.
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl Default for Boot {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_the_legal_ones() {
        assert!("app-a".parse::<NodeName>().is_ok());
        for wrong in ["", "-a", "a-", "App", "a b", "a;zone=b", &"a".repeat(64)] {
            assert!(wrong.parse::<Zone>().is_err(), "{wrong}");
        }
        let refused = "wrker".parse::<Role>().unwrap_err().to_string();
        assert!(refused.contains("worker"), "{refused}");
    }
}
