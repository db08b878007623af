//! How times and ids are written.

use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Nanoseconds since 1970 as RFC 3339 in UTC with milliseconds.
pub(crate) fn time_text(nanos: u64) -> String {
    let time = DateTime::from_timestamp_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads a trace's id of 32 digits, or of 16 as older systems have it.
pub(crate) fn read_trace(text: &str) -> Option<u128> {
    let right = matches!(text.len(), 16 | 32) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    right.then(|| u128::from_str_radix(text, 16).ok()).flatten().filter(|id| *id != 0)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(crate) fn time<S: Serializer>(nanos: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time_text(*nanos))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
#[expect(clippy::cast_precision_loss, reason = "a duration of 52 bits of nanoseconds is 52 days")]
pub(crate) fn duration_ms<S: Serializer>(nanos: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*nanos as f64 / 1e6)
}

pub(crate) fn hex_trace<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:032x}"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(crate) fn hex_span<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:016x}"))
}

#[expect(clippy::ref_option, reason = "serde passes references")]
pub(crate) fn option_hex_span<S: Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => hex_span(id, serializer),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, reason = "serde passes references")]
pub(crate) fn option_hex_trace<S: Serializer>(id: &Option<u128>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => hex_trace(id, serializer),
        None => serializer.serialize_none(),
    }
}

/// What several share.
pub(crate) fn shared<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ids_are_written_as_the_api_has_them() {
        assert_eq!(time_text(1_544_712_660_123_456_789), "2018-12-13T14:51:00.123Z");
        assert_eq!(
            read_trace("5b8efff798038103d269b633813fc60c"),
            Some(0x5b8e_fff7_9803_8103_d269_b633_813f_c60c)
        );
        assert_eq!(read_trace("eee19b7ec3c1b174"), Some(0xeee1_9b7e_c3c1_b174));
        for wrong in ["", "5b", "+b8efff798038103d269b633813fc60c", "00000000000000000000000000000000"] {
            assert_eq!(read_trace(wrong), None, "{wrong}");
        }
    }
}
