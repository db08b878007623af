//! How long a call may still take: handed on, and shrinking, from tier to tier.

use std::time::{Duration, Instant};

/// The moment after which nobody waits for the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// As good as never.
const FAR: Duration = Duration::from_hours(24 * 365);

impl Deadline {
    /// A deadline `timeout` after `now`.
    pub fn after(now: Instant, timeout: Duration) -> Self {
        // A clock's end is further away than any answer.
        Self(now.checked_add(timeout).unwrap_or(now + FAR))
    }

    /// The time left, zero once it has passed.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether nobody waits any more.
    pub fn has_passed(self, now: Instant) -> bool {
        self.0 <= now
    }

    /// The same moment for tokio's timers.
    pub fn instant(self) -> Instant {
        self.0
    }
}

/// Reads a timeout as the `onefold-timeout` header carries it: `250ms`, `2s`, `1500us`.
///
/// # Errors
/// [`InvalidDuration`] where the number or the unit is missing or unknown.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.chars().take(40).collect());
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| invalid())?;
    match unit {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or_else(invalid),
        "h" => number.checked_mul(3600).map(Duration::from_secs).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}

/// A text that is no duration.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no duration: write a whole number and a unit, one of us, ms, s, m, h")]
pub struct InvalidDuration(String);

/// Serde for durations in the topology file: `"250ms"`, `"5s"`.
pub mod duration_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use std::time::Duration;

    /// Reads `"250ms"`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(D::Error::custom)
    }

    /// Writes `"250ms"`, in milliseconds or, below one, in microseconds.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::DurationText(*duration))
    }
}

/// A duration as headers and files carry it.
#[derive(Clone, Copy, Debug)]
pub struct DurationText(pub Duration);

impl std::fmt::Display for DurationText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.subsec_micros().is_multiple_of(1000) {
            write!(f, "{}ms", self.0.as_millis())
        } else {
            write!(f, "{}us", self.0.as_micros())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_beyond_the_clock_s_end_is_far_away() {
        let now = crate::Clock::manual().now();
        assert!(Deadline::after(now, Duration::MAX).remaining(now) > Duration::from_hours(24));
    }

    #[test]
    fn a_duration_reads_back_as_it_was_written() {
        for duration in [Duration::from_millis(250), Duration::from_micros(1500), Duration::from_secs(5)] {
            assert_eq!(parse_duration(&DurationText(duration).to_string()).unwrap(), duration);
        }
        for wrong in ["", "5", "ms", "5 ms", "-5ms", "5d", "99999999999999999999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
