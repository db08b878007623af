//! A value as L2 keeps it: the layout of its type, whether there is one at all, and its JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

const SHAPE_BYTES: usize = 8;
const NONE: u8 = 0;
const SOME: u8 = 1;

/// An answer that is known: the value, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer<V>(pub(crate) Option<V>);

/// # Errors
/// Where the value cannot be written as JSON.
pub(crate) fn encode<V: Serialize>(shape: u64, value: Option<&V>) -> Result<Vec<u8>, serde_json::Error> {
    let mut payload = Vec::with_capacity(64);
    payload.extend_from_slice(&shape.to_be_bytes());
    match value {
        None => payload.push(NONE),
        Some(value) => {
            payload.push(SOME);
            serde_json::to_writer(&mut payload, value)?;
        }
    }
    Ok(payload)
}

/// The value; none where the payload was written in another layout, or is damaged.
pub(crate) fn decode<V: DeserializeOwned>(shape: u64, payload: &[u8]) -> Option<Answer<V>> {
    let (written, rest) = payload.split_first_chunk::<SHAPE_BYTES>()?;
    if u64::from_be_bytes(*written) != shape {
        return None;
    }
    match rest.split_first()? {
        (&NONE, []) => Some(Answer(None)),
        (&SOME, json) => serde_json::from_slice(json).ok().map(|value| Answer(Some(value))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_reads_back_in_its_layout_alone(value: Option<(String, i64)>, shape: u64) {
            let payload = encode(shape, value.as_ref()).unwrap();
            prop_assert_eq!(decode(shape, &payload), Some(Answer(value)));
            prop_assert_eq!(decode::<(String, i64)>(shape ^ 1, &payload), None);
        }

        #[test]
        fn damage_is_no_value_and_no_panic(payload: Vec<u8>) {
            let _ = decode::<String>(7, &payload);
        }
    }
}
