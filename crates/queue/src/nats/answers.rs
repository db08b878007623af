//! What JetStream's API answers, as far as it matters: the client's own types do not understand servers of 2.9.

use serde::Deserialize;

/// What `INFO` answers, as far as it matters.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: u16,
    #[serde(default)]
    pub(super) description: String,
}

/// What `STREAM.LIST` answers, as far as it matters.
#[derive(Debug, Deserialize)]
pub(super) struct StreamList {
    #[serde(default)]
    pub(super) streams: Option<Vec<Listed>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) cluster: Option<Led>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Led {
    pub(super) leader: Option<String>,
}

/// What `STREAM.NAMES` answers.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamNames {
    #[serde(default)]
    pub(super) streams: Option<Vec<String>>,
}
