//! What a series is called: its labels, and the key by which it is found again without making them.

use super::name::label_name;
use super::text::text;
use crate::collect::promql::{Labels, METRIC_NAME, format_value};
use crate::otlp::common::KeyValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

const LABELS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 512;
const VALUE_BYTES_MAX: usize = 4096;

/// Hashes under keys of this process, so that no sender can make two series collide.
#[derive(Debug, Default)]
pub(crate) struct Keys(RandomState, RandomState);

impl Keys {
    /// The key of a series that is made here, not by a sender.
    pub(crate) fn of(&self, labels: &Labels) -> u128 {
        self.hash(labels.to_string().as_bytes())
    }

    fn hash(&self, bytes: &[u8]) -> u128 {
        u128::from(self.0.hash_one(bytes)) << 64 | u128::from(self.1.hash_one(bytes))
    }
}

/// Who sends: the labels that its resource gives to each of its series.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) pairs: Vec<(String, String)>,
    key: u128,
}

impl Source {
    pub(super) fn new(attributes: &[KeyValue], keys: &Keys) -> Self {
        let get = |name: &str| {
            let found = attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?;
            Some(text(found).into_owned()).filter(|text| !text.is_empty())
        };
        let mut pairs = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            pairs.extend(value.map(|value| (name.to_owned(), value)));
        };
        let instance = get("service.instance.id");
        add(
            "job",
            match (get("service.namespace"), get("service.name")) {
                (Some(space), Some(name)) => Some(format!("{space}/{name}")),
                (None, name) => name,
                (Some(_), None) => None,
            },
        );
        // Onefold's own nodes are known by their role.
        if let Some(role) = get("onefold.role") {
            add("node", instance.clone());
            add("role", Some(role));
            add("zone", get("onefold.zone"));
        }
        add("instance", instance);
        let mut bytes = Vec::new();
        for (name, value) in &pairs {
            put(&mut bytes, &[name.as_bytes(), value.as_bytes()]);
        }
        Self { key: keys.hash(&bytes), pairs }
    }
}

/// A label beside the attributes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extra {
    None,
    /// The upper bound of a bucket.
    Le(f64),
    Quantile(f64),
}

/// One data point's series: its metric and attributes.
pub(super) struct Identity<'a> {
    source: &'a Source,
    name: &'a str,
    attributes: &'a [KeyValue],
    key: u128,
}

impl<'a> Identity<'a> {
    pub(super) fn new(source: &'a Source, name: &'a str, attributes: &'a [KeyValue], keys: &Keys) -> Self {
        let mut bytes = source.key.to_le_bytes().to_vec();
        put(&mut bytes, &[name.as_bytes()]);
        for attribute in attributes {
            let value = attribute.value.as_ref().map_or(Cow::Borrowed(""), text);
            put(&mut bytes, &[attribute.key.as_bytes(), value.as_bytes()]);
        }
        Self { source, name, attributes, key: keys.hash(&bytes) }
    }

    pub(super) fn key(&self, suffix: &str, extra: Extra, keys: &Keys) -> u128 {
        let (tag, bits) = match extra {
            Extra::None => (0, 0),
            Extra::Le(bound) => (1, bound.to_bits()),
            Extra::Quantile(share) => (2, share.to_bits()),
        };
        let mut bytes = [tag; 32];
        bytes[..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..24].copy_from_slice(&u64::to_le_bytes(bits));
        // `_bucket`, the longest, has seven bytes.
        bytes[25..].iter_mut().zip(suffix.bytes()).for_each(|(byte, letter)| *byte = letter);
        keys.hash(&bytes)
    }

    /// The labels of a series of this data point.
    pub(super) fn labels(&self, suffix: &str, extra: Extra) -> Result<Labels, &'static str> {
        let mut pairs: BTreeMap<String, String> = BTreeMap::new();
        for attribute in self.attributes {
            let value = attribute.value.as_ref().map_or(Cow::Borrowed(""), text);
            let name = label_name(&attribute.key).into_owned();
            // Two attributes whose names become one share the label, as in Prometheus.
            pairs
                .entry(name)
                .and_modify(|all| {
                    all.push(';');
                    all.push_str(&value);
                })
                .or_insert_with(|| value.clone().into_owned());
        }
        pairs.extend(self.source.pairs.iter().cloned());
        match extra {
            Extra::None => {}
            Extra::Le(bound) => drop(pairs.insert("le".to_owned(), format_value(bound))),
            Extra::Quantile(share) => drop(pairs.insert("quantile".to_owned(), format_value(share))),
        }
        pairs.insert(METRIC_NAME.to_owned(), format!("{}{suffix}", self.name));
        checked(pairs)
    }
}

fn checked(pairs: BTreeMap<String, String>) -> Result<Labels, &'static str> {
    if pairs.len() > LABELS_MAX {
        return Err("a series has more than 64 labels");
    }
    if pairs.get(METRIC_NAME).is_none_or(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
        return Err("a metric's name is empty or longer than 512 bytes");
    }
    if pairs.iter().any(|(name, value)| name.len() > NAME_BYTES_MAX || value.len() > VALUE_BYTES_MAX) {
        return Err("a label's name is longer than 512 bytes, or its value than 4096");
    }
    Ok(Labels::new(pairs))
}

/// Each piece with its length, so that no two lists of pieces look alike.
fn put(bytes: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        bytes.extend_from_slice(&piece.len().to_le_bytes());
        bytes.extend_from_slice(piece);
    }
}
