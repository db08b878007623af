//! What cannot be in a block: a bloom filter over its names and attributes.
//!
//! The hashes are stored, so that they never change: FNV-1a over the text, mixed.

use super::hash::Fast;
use crate::collect::value::Value;
use std::collections::HashSet;

/// Bits for each item: with four probes one block in forty is read in vain.
const BITS: usize = 8;
const PROBES: u64 = 4;

/// What an item is, beside its texts.
pub(crate) mod item {
    use super::{mix, text_hash};

    pub(crate) fn service(name: u64) -> u64 {
        mix(name ^ 1)
    }

    pub(crate) fn node(name: u64) -> u64 {
        mix(name ^ 2)
    }

    pub(crate) fn operation(name: u64) -> u64 {
        mix(name ^ 3)
    }

    pub(crate) fn attribute(key: u64, value: u64) -> u64 {
        mix(key.rotate_left(17) ^ value ^ 4)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves of 128 bits have 64 each")]
    pub(crate) fn trace(id: u128) -> u64 {
        mix((id as u64) ^ ((id >> 64) as u64).rotate_left(31) ^ 5)
    }

    /// The hash of a text that a question names.
    pub(crate) fn text(text: &str) -> u64 {
        text_hash(text)
    }
}

pub(super) fn text_hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash)
}

fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

/// The hash of a value that is no text.
pub(super) fn number_hash(value: &Value<'_>) -> u64 {
    match value {
        Value::Bool(value) => mix(u64::from(*value) ^ (1 << 60)),
        Value::Int(value) => mix(value.cast_unsigned() ^ (2 << 60)),
        Value::Double(value) => mix(value.to_bits() ^ (3 << 60)),
        Value::Text(text) | Value::Json(text) => text_hash(text),
    }
}

/// Every reading of what somebody wrote into a search field: the text, or the number that it spells.
pub(crate) fn readings(key: &str, wanted: &str) -> Vec<u64> {
    let mut values = vec![text_hash(wanted)];
    values.extend(wanted.parse().ok().map(|int| number_hash(&Value::Int(int))));
    values.extend(wanted.parse().ok().map(|double| number_hash(&Value::Double(double))));
    values.extend(wanted.parse().ok().map(|bool| number_hash(&Value::Bool(bool))));
    let key = text_hash(key);
    values.into_iter().map(|value| item::attribute(key, value)).collect()
}

/// The items of a block while it is built.
#[derive(Debug, Default)]
pub(crate) struct Items(HashSet<u64, Fast>);

impl Items {
    pub(crate) fn add(&mut self, item: u64) {
        self.0.insert(item);
    }

    /// The filter over them.
    pub(crate) fn filter(&self) -> Vec<u8> {
        let words = (self.0.len() * BITS).div_ceil(64).max(1);
        let mut bits = vec![0_u8; words * 8];
        for item in &self.0 {
            for at in places(*item, bits.len()) {
                bits[at / 8] |= 1 << (at % 8);
            }
        }
        bits
    }
}

/// A stored filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bloom<'a>(pub(crate) &'a [u8]);

impl Bloom<'_> {
    /// False only if the item is not in the block.
    pub(crate) fn may_hold(self, item: u64) -> bool {
        self.0.is_empty() || places(item, self.0.len()).all(|at| self.0[at / 8] & (1 << (at % 8)) != 0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below the length in bits")]
fn places(item: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let (start, step) = (item, (item >> 33) | 1);
    let bits = (bytes * 8) as u64;
    (0..PROBES).map(move |probe| (start.wrapping_add(probe.wrapping_mul(step)) % bits) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_holds_what_was_added_and_little_else() {
        let mut items = Items::default();
        for name in 0..1000 {
            items.add(item::operation(text_hash(&format!("GET /{name}"))));
        }
        let bits = items.filter();
        let bloom = Bloom(&bits);
        assert!((0..1000).all(|name| bloom.may_hold(item::operation(text_hash(&format!("GET /{name}"))))));
        let wrong = (1000..11_000)
            .filter(|name| bloom.may_hold(item::operation(text_hash(&format!("GET /{name}")))))
            .count();
        assert!(wrong < 500, "{wrong} of 10000");
    }

    #[test]
    fn a_wanted_text_is_found_whatever_type_it_was_sent_as() {
        for value in [Value::Int(500), Value::Text("500".into()), Value::Double(500.0)] {
            let stored = item::attribute(text_hash("http.status"), number_hash(&value));
            assert!(readings("http.status", "500").contains(&stored), "{value:?}");
        }
    }
}
