//! What stands in etcd under the keys, in JSON, and what this crate makes of it.

use super::keys::Keys;
use super::wire::{Event, KeyValue};
use crate::error::Error;
use crate::store::{Change, Entry, Past};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use std::sync::Arc;

/// An entry.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) value: Json,
    /// The lease that carries it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<String>,
}

/// What an entry once was. The time is the writer's: etcd keeps none.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredPast {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(super) value: Json,
    pub(super) actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) at: DateTime<Utc>,
}

/// A lease that is held.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredLease {
    pub(super) holder: String,
    pub(super) report: i64,
}

/// The bytes of a value of ours.
pub(super) fn bytes(value: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| Error::Engine(error.to_string()))
}

/// A value of ours, or an error that names the key.
pub(super) fn parse<T: DeserializeOwned>(kv: &KeyValue) -> Result<T, Error> {
    serde_json::from_slice(&kv.value).map_err(|error| {
        let key = String::from_utf8_lossy(&kv.key).into_owned();
        Error::Engine(format!("`{key}` in etcd was not written by this program ({error}); delete it there"))
    })
}

pub(super) fn entry(keys: &Keys, kv: &KeyValue) -> Result<Entry, Error> {
    let Stored { value, lease } = parse(kv)?;
    Ok(Entry {
        key: Arc::from(keys.strip(&kv.key, "entry/").unwrap_or_default()),
        value: Arc::new(value),
        created: kv.created,
        revision: kv.modified,
        lease: lease.map(Arc::from),
    })
}

pub(super) fn past(kv: &KeyValue) -> Result<Past, Error> {
    let StoredPast { deleted, value, actor, reason, at } = parse(kv)?;
    Ok(Past { revision: kv.modified, value: (!deleted).then_some(value), actor, reason, at })
}

/// An entry's change; none where the event is of something else.
pub(super) fn change(keys: &Keys, event: &Event) -> Result<Option<Change>, Error> {
    let Some(kv) = &event.kv else { return Ok(None) };
    let Some(key) = keys.strip(&kv.key, "entry/") else { return Ok(None) };
    let change = if event.is_deletion() {
        Change::Deleted { key: Arc::from(key), revision: kv.modified }
    } else {
        Change::Put(entry(keys, kv)?)
    };
    Ok(Some(change))
}

impl Event {
    pub(super) fn is_deletion(&self) -> bool {
        self.kind == 1
    }
}
