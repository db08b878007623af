//! The types that a flag or a setting may have, and how each is written in JSON.

use onefold_core::deadline::{DurationText, parse_duration};
use serde_json::Value as Json;
use std::fmt;
use std::time::Duration;

/// A type for flags and settings. `Self` is how a program writes the default in a constant, [`Typed::Value`] is
/// what it gets: `&'static str` becomes `String`, [`JsonText`] becomes a JSON value.
pub trait Typed: Copy + Send + Sync + 'static {
    /// What a reader gets.
    type Value: Clone + PartialEq + fmt::Debug + Send + Sync + 'static;

    /// The type in words, for errors: `a whole number`.
    const WORDS: &'static str;

    /// The default as a reader gets it.
    fn value(self) -> Self::Value;

    /// Reads a value; none where it is of another type or beyond this one's range.
    fn read(json: &Json) -> Option<Self::Value>;

    /// Writes a value.
    fn write(value: &Self::Value) -> Json;
}

/// The default of a flag or setting that holds any JSON, written as text: `JsonText(r#"{"width": 3}"#)`.
///
/// A text that is no JSON reads as `null`; a test of the program should call [`Typed::value`] once.
#[derive(Clone, Copy, Debug)]
pub struct JsonText(pub &'static str);

impl Typed for JsonText {
    type Value = Json;
    const WORDS: &'static str = "any JSON";

    fn value(self) -> Json {
        serde_json::from_str(self.0).unwrap_or(Json::Null)
    }

    fn read(json: &Json) -> Option<Json> {
        Some(json.clone())
    }

    fn write(value: &Json) -> Json {
        value.clone()
    }
}

impl Typed for &'static str {
    type Value = String;
    const WORDS: &'static str = "a text";

    fn value(self) -> String {
        self.to_owned()
    }

    fn read(json: &Json) -> Option<String> {
        json.as_str().map(str::to_owned)
    }

    fn write(value: &String) -> Json {
        Json::String(value.clone())
    }
}

impl Typed for Duration {
    type Value = Self;
    const WORDS: &'static str = "a duration like \"250ms\" or \"5s\"";

    fn value(self) -> Self {
        self
    }

    fn read(json: &Json) -> Option<Self> {
        json.as_str().and_then(|text| parse_duration(text).ok())
    }

    fn write(value: &Self) -> Json {
        let seconds = value.as_secs();
        let text = match seconds {
            _ if value.subsec_nanos() > 0 || seconds == 0 => DurationText(*value).to_string(),
            _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
            _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
            _ => format!("{seconds}s"),
        };
        Json::String(text)
    }
}

macro_rules! typed {
    ($type:ty, $words:literal, $json:ident => $read:expr) => {
        impl Typed for $type {
            type Value = Self;
            const WORDS: &'static str = $words;

            fn value(self) -> Self {
                self
            }

            fn read($json: &Json) -> Option<Self> {
                $read
            }

            fn write(value: &Self) -> Json {
                (*value).into()
            }
        }
    };
}

typed!(bool, "true or false", json => json.as_bool());
typed!(i64, "a whole number", json => whole(json));
typed!(u64, "a whole number from 0", json => json.as_u64().or_else(|| whole(json)?.try_into().ok()));
typed!(u32, "a whole number from 0 to 4294967295", json => whole(json)?.try_into().ok());
typed!(f64, "a number", json => json.as_f64());

/// A whole number, also where a program in between wrote it as `3.0`.
fn whole(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| {
        let number = json.as_f64()?;
        // 2^53: beyond it a float no longer tells neighbours apart.
        let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, just checked")]
        exact.then_some(number as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_of_another_type_is_refused() {
        assert_eq!(i64::read(&json!(3.0)), Some(3));
        assert_eq!(i64::read(&json!(3.5)), None);
        assert_eq!(i64::read(&json!(true)), None);
        assert_eq!(u32::read(&json!(-1)), None);
        assert_eq!(bool::read(&json!("true")), None);
        assert_eq!(f64::read(&json!(3)), Some(3.0));
        assert_eq!(<&str>::read(&json!(3)), None);
        assert_eq!(Duration::read(&json!("250ms")), Some(Duration::from_millis(250)));
        assert_eq!(Duration::read(&json!(250)), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        for (millis, text) in
            [(0, "0ms"), (1500, "1500ms"), (2000, "2s"), (90_000, "90s"), (300_000, "5m"), (7_200_000, "2h")]
        {
            let duration = Duration::from_millis(millis);
            assert_eq!(Duration::write(&duration), json!(text));
            assert_eq!(Duration::read(&json!(text)), Some(duration));
        }
        assert_eq!(<&str>::read(&<&str>::write(&"a".to_owned())), Some("a".to_owned()));
        assert_eq!(JsonText(r#"{"width": 3}"#).value(), json!({"width": 3}));
    }
}
