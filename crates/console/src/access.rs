//! What somebody may do, and who that is.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a token or session permits. Whoever may operate may view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read everything.
    View,
    /// Change things too: jobs, flags, settings, silences.
    Operate,
}

impl Access {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who sends a request, as far as is known: an extension of each request that a credential came with, for the
/// handlers that write down who changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name given at login, or `token:operate` for a program that brings a token. A token is shared, so the
    /// name is a courtesy between colleagues and proves nothing.
    pub name: String,
    /// What it may do.
    pub access: Access,
}
