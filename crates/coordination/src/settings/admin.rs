//! What people do with settings, on the command line and in the console: list, set, look back, go back.
//!
//! These ask the store itself, not the watched snapshot: they work in a process that watches nothing, and show
//! what is stored now.

use super::live::Registered;
use super::{KEYS, Settings, key};
use crate::error::Error;
use crate::members::LEASES;
use crate::store::{Compare, Entry, Operation, Past, Position, Txn, Writer, as_of, latest};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::HashMap;

/// A setting with its value, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingValue {
    /// Its name.
    pub name: String,
    /// What is stored, or the default. Where it has a fault, what was in force before stays.
    pub value: Json,
    /// Where that comes from.
    pub source: Source,
    /// What holds where nothing is set.
    pub default: Json,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The revision that set it; none for the default.
    pub revision: Option<i64>,
    /// Why what is stored is not in force, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The program.
    Default,
    /// Somebody set it.
    Set,
}

/// Which revision a node runs: it has applied every change up to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeRevision {
    /// The node.
    pub node: String,
    /// Its revision.
    pub revision: i64,
}

impl Settings {
    /// All registered settings, sorted by name.
    pub async fn list(&self) -> Result<Vec<SettingValue>, Error> {
        let listing = self.store.list(KEYS).await?;
        let known: Vec<_> = self.registry.read().values().cloned().collect();
        Ok(known
            .iter()
            .map(|setting| {
                let key = key(setting.spec().name);
                described(&**setting, listing.entries.iter().find(|entry| *entry.key == *key))
            })
            .collect())
    }

    /// One setting.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the nearest name.
    pub async fn show(&self, name: &str) -> Result<SettingValue, Error> {
        let setting = self.registered(name)?;
        Ok(described(&*setting, self.stored(name).await?.as_ref()))
    }

    /// Sets a value, if the setting accepts it. Answers the position from which it is in force.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the nearest name; [`Error::Invalid`], with what would be right;
    /// [`Error::Conflict`] where `expected` is given and somebody else has set it since that revision (0: since it
    /// was not set).
    pub async fn set(
        &self,
        name: &str,
        value: Json,
        expected: Option<i64>,
        writer: Writer,
    ) -> Result<Position, Error> {
        let setting = self.registered(name)?;
        setting.accept(&value).map_err(|why| Error::invalid("setting", name, why))?;
        self.write(name, Operation::put(key(name), value), expected, writer).await
    }

    /// The value that a person's text means: JSON where it is acceptable as such, else the text itself.
    pub fn parse(&self, name: &str, text: &str) -> Result<Json, Error> {
        let setting = self.registered(name)?;
        let json = serde_json::from_str(text).unwrap_or_else(|_| Json::from(text));
        let as_text = Json::from(text);
        let means_text = setting.accept(&json).is_err() && setting.accept(&as_text).is_ok();
        Ok(if means_text { as_text } else { json })
    }

    /// Goes back to the default.
    pub async fn unset(&self, name: &str, writer: Writer) -> Result<Position, Error> {
        self.registered(name)?;
        self.write(name, Operation::delete(key(name)), None, writer).await
    }

    /// The last change of each of these settings, by name, in one question.
    pub async fn latest(&self, names: impl Iterator<Item = &str>) -> Result<HashMap<String, Past>, Error> {
        latest(&*self.store, KEYS, names).await
    }

    /// What it was, the newest first.
    pub async fn history(&self, name: &str, limit: u32) -> Result<Vec<Past>, Error> {
        self.registered(name)?;
        self.store.history(&key(name), limit).await
    }

    /// Goes back to what it was after `revision`, if this build still accepts that.
    pub async fn rollback(&self, name: &str, revision: i64, writer: Writer) -> Result<Position, Error> {
        let past = self.history(name, u32::MAX).await?;
        let then = as_of(&past, revision).map_err(|why| Error::invalid("setting", name, why))?;
        let writer = writer.or_reason(|| format!("rollback to revision {revision}"));
        match &then.value {
            Some(value) => self.set(name, value.clone(), None, writer).await,
            None => self.unset(name, writer).await,
        }
    }

    /// Which revision each node runs, as of its last renewal.
    pub async fn nodes(&self) -> Result<Vec<NodeRevision>, Error> {
        let reports = self.store.reports(LEASES).await?;
        let mut nodes: Vec<_> =
            reports.into_iter().map(|r| NodeRevision { node: r.holder, revision: r.report }).collect();
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(nodes)
    }

    async fn stored(&self, name: &str) -> Result<Option<Entry>, Error> {
        let key = key(name);
        Ok(self.store.list(&key).await?.entries.into_iter().find(|entry| *entry.key == *key))
    }

    async fn write(
        &self,
        name: &str,
        operation: Operation,
        expected: Option<i64>,
        writer: Writer,
    ) -> Result<Position, Error> {
        let compare = expected.map(|is| Compare::Revision { key: key(name), is }).into_iter().collect();
        let outcome =
            self.store.commit(&Txn { compare, then: vec![operation], otherwise: vec![], writer }).await?;
        self.wakes.changed();
        if outcome.held { Ok(outcome.position) } else { Err(Error::Conflict { key: name.to_owned() }) }
    }
}

fn described(setting: &dyn Registered, stored: Option<&Entry>) -> SettingValue {
    let spec = setting.spec();
    let fault = stored.and_then(|entry| setting.accept(&entry.value).err()).or_else(|| setting.fault());
    SettingValue {
        name: spec.name.to_owned(),
        value: stored.map_or_else(|| spec.default.clone(), |entry| (*entry.value).clone()),
        source: if stored.is_some() { Source::Set } else { Source::Default },
        default: spec.default,
        takes: spec.takes,
        description: spec.description,
        revision: stored.map(|entry| entry.revision),
        fault,
    }
}
