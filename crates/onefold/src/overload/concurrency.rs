//! `[app] concurrency`: how many requests a node runs at once.

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// More requests at once than any node's memory holds.
const FIXED_MAX: u32 = 100_000;

/// A number, or what measuring finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concurrency {
    /// Found by measuring.
    Adaptive,
    /// So many.
    Fixed(u32),
}

impl Serialize for Concurrency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Adaptive => serializer.serialize_str("adaptive"),
            Self::Fixed(limit) => serializer.serialize_u32(*limit),
        }
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Words)
    }
}

struct Words;

impl Visitor<'_> for Words {
    type Value = Concurrency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"adaptive\" or a number from 1 to {FIXED_MAX}")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Concurrency, E> {
        // The environment brings numbers as text.
        match text.parse::<i64>() {
            Ok(number) => self.visit_i64(number),
            Err(_) if text == "adaptive" => Ok(Concurrency::Adaptive),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Concurrency, E> {
        match u32::try_from(number) {
            Ok(limit) if (1..=FIXED_MAX).contains(&limit) => Ok(Concurrency::Fixed(limit)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Concurrency, E> {
        self.visit_i64(i64::try_from(number).map_err(E::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Table {
        concurrency: Concurrency,
    }

    #[test]
    fn a_word_or_a_number_and_nothing_else() {
        let read = |text: &str| toml::from_str::<Table>(text).map(|table| table.concurrency);
        assert_eq!(read("concurrency = 'adaptive'").unwrap(), Concurrency::Adaptive);
        assert_eq!(read("concurrency = 64").unwrap(), Concurrency::Fixed(64));
        for wrong in ["0", "-1", "100001", "'fast'", "1.5", "true"] {
            let told = read(&format!("concurrency = {wrong}")).unwrap_err().to_string();
            assert!(told.contains("\"adaptive\" or a number from 1 to 100000"), "{told}");
        }
        for concurrency in [Concurrency::Adaptive, Concurrency::Fixed(7)] {
            assert_eq!(read(&toml::to_string(&Table { concurrency }).unwrap()).unwrap(), concurrency);
        }
    }
}
