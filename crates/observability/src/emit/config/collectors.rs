//! `telemetry.otlp`: who gets what a node tells. An address, a table for a collector that wants more than its address,
//! or a list of both.

use onefold_core::Secret;
use onefold_core::topology::Fault;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Each has buffers of its own in every node.
const COLLECTORS_MAX: usize = 8;

/// One that is sent everything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collector {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// Whether it gets what the observer of `up` gets too, rather than in its place.
    #[serde(default)]
    pub also: bool,
    /// Shown as `authorization: Bearer KEY`; by reference.
    #[serde(default)]
    pub key: Option<Secret>,
    /// Shown with each message; by reference.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// A PEM file with the authority that issued its certificate. Default none: those that this machine trusts.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    #[serde(skip)]
    pub(in crate::emit) place: Place,
}

/// All of them, as they are named.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collectors(Vec<Collector>);

/// Where a collector is written, and so what its keys are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::emit) enum Place {
    /// As an address alone: the other keys stand beside it.
    #[default]
    Address,
    Table,
    AddressOfList(usize),
    TableOfList(usize),
}

impl Collector {
    /// One of this address, which shows nothing.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// What the setting of this name is called for this collector.
    pub(in crate::emit) fn setting(&self, name: &str) -> String {
        match (self.place, name) {
            (Place::Address, "url") => "telemetry.otlp".to_owned(),
            (Place::Address, _) => format!("telemetry.{name}"),
            (Place::Table, _) => format!("telemetry.otlp.{name}"),
            (Place::AddressOfList(at), "url") => format!("telemetry.otlp[{at}]"),
            (Place::AddressOfList(at) | Place::TableOfList(at), _) => format!("telemetry.otlp[{at}].{name}"),
        }
    }
}

impl Collectors {
    /// None.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Whether nobody is told anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in the order in which they are named.
    pub fn iter(&self) -> impl Iterator<Item = &Collector> {
        self.0.iter()
    }

    /// Whether all of them stand beside the observer of `up`, and none in its place.
    pub fn are_beside(&self) -> bool {
        self.0.iter().all(|collector| collector.also)
    }

    /// The one that was named by its address alone.
    pub(super) fn lone_address(&self) -> Option<&Collector> {
        match &self.0[..] {
            [collector] if collector.place == Place::Address => Some(collector),
            _ => None,
        }
    }

    /// What cannot be, whatever each of them says.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.0.len() > COLLECTORS_MAX {
            let problem = format!("{} collectors", self.0.len());
            faults.push(Fault::new("telemetry.otlp", problem, "name at most 8, and let one pass it on"));
        }
        if !self.are_beside() && self.0.iter().any(|collector| collector.also) {
            let problem = "some stand beside the observer (also = true), others in its place";
            faults.push(Fault::new("telemetry.otlp", problem, "write also = true for each, or for none"));
        }
        let mut urls: Vec<&str> = self.0.iter().map(|one| one.url.trim_end_matches('/')).collect();
        urls.sort_unstable();
        if let Some([twice, ..]) = urls.windows(2).find(|pair| pair[0] == pair[1]) {
            let problem = format!("`{twice}` is named twice");
            faults.push(Fault::new("telemetry.otlp", problem, "name each collector once"));
        }
        faults
    }
}

impl<const N: usize> From<[Collector; N]> for Collectors {
    fn from(collectors: [Collector; N]) -> Self {
        Self(collectors.into())
    }
}

impl From<&str> for Collectors {
    /// The collector at this address; nobody, where it is empty.
    fn from(url: &str) -> Self {
        Self(Some(url).filter(|url| !url.is_empty()).map(Collector::at).into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Collectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(All)
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Collectors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, a table with `url`, or a list of both")
    }

    fn visit_str<E>(self, url: &str) -> Result<Collectors, E> {
        Ok(url.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Collectors, A::Error> {
        let collector = Collector::deserialize(MapAccessDeserializer::new(map))?;
        Ok([Collector { place: Place::Table, ..collector }].into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Collectors, A::Error> {
        let mut all = Vec::new();
        while let Some(collector) = list.next_element_seed(One(all.len()))? {
            all.push(collector);
        }
        Ok(Collectors(all))
    }
}

/// The collector at this place of a list.
struct One(usize);

impl<'de> DeserializeSeed<'de> for One {
    type Value = Collector;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Collector, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One {
    type Value = Collector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, or a table with `url`")
    }

    fn visit_str<E>(self, url: &str) -> Result<Collector, E> {
        Ok(Collector { place: Place::AddressOfList(self.0), ..Collector::at(url) })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Collector, A::Error> {
        let collector = Collector::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Collector { place: Place::TableOfList(self.0), ..collector })
    }
}
