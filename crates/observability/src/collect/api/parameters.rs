//! The query of a request: known names only, each read as what it should be.

use super::Problem;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use chrono::DateTime;
use std::str::FromStr;

/// Parameters of one request.
const PARAMETERS_MAX: usize = 64;
/// A parameter's value, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// Names and values in their order. An empty value counts as none: a form sends its empty fields.
#[derive(Clone, Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(mut all) = query.map_err(|error| Problem::parameter("query", error.to_string()))?;
        if all.len() > PARAMETERS_MAX {
            return Err(Problem::parameter("query", format!("at most {PARAMETERS_MAX} parameters are read")));
        }
        if let Some((name, _)) = all.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            return Err(Problem::parameter(name, format!("at most {VALUE_BYTES_MAX} bytes are read")));
        }
        all.retain(|(_, value)| !value.is_empty());
        Ok(Self(all))
    }
}

impl Parameters {
    /// Refuses every other name: a mistyped condition must not be passed over.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) if known.is_empty() => {
                Err(Problem::parameter(name, "is not known: there are no parameters here"))
            }
            Some((name, _)) => {
                Err(Problem::parameter(name, format!("is not known: use {}", known.join(", "))))
            }
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.all(name).next().map(ToOwned::to_owned)
    }

    pub(super) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A value of few, or of a grammar; `expected` says of which.
    pub(super) fn read<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let read = |value: String| {
            value.parse().map_err(|_| Problem::parameter(name, format!("`{value:.64}` is not {expected}")))
        };
        self.text(name).map(read).transpose()
    }

    /// A number of items, at most `most`.
    pub(super) fn limit(&self, default: usize, most: usize) -> Result<usize, Problem> {
        let limit = self.read("limit", "a whole number")?.unwrap_or(default);
        if (1..=most).contains(&limit) {
            Ok(limit)
        } else {
            Err(Problem::parameter("limit", format!("choose 1 to {most}")))
        }
    }

    /// A time in nanoseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.text(name)
            .map(|value| {
                let wrong = || {
                    let detail = format!(
                        "`{value:.64}` is no time: write 2026-01-31T12:00:00Z, or seconds since 1970"
                    );
                    Problem::parameter(name, detail)
                };
                time_of(&value).ok_or_else(wrong)
            })
            .transpose()
    }

    /// Milliseconds as nanoseconds.
    pub(super) fn millis(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(millis) = self.read::<f64>(name, "a number of milliseconds")? else { return Ok(None) };
        nanos(millis / 1e3).map(Some).ok_or_else(|| Problem::parameter(name, "must not be negative"))
    }
}

fn time_of(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return nanos(seconds);
    }
    let time = DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()?;
    u64::try_from(time).ok()
}

/// Exact to the microsecond, which is what a float of today's seconds holds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn nanos(seconds: f64) -> Option<u64> {
    (0.0..1e10).contains(&seconds).then(|| (seconds * 1e6).round() as u64 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_spellings() {
        assert_eq!(time_of("2018-12-13T14:51:00.123Z"), Some(1_544_712_660_123_000_000));
        assert_eq!(time_of("2018-12-13T15:51:00.123+01:00"), Some(1_544_712_660_123_000_000));
        assert_eq!(time_of("1544712660.123"), Some(1_544_712_660_123_000_000));
        for wrong in ["yesterday", "-1", "NaN", "inf", "1e300", ""] {
            assert_eq!(time_of(wrong), None, "{wrong}");
        }
    }
}
