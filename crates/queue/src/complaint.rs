//! How often something that fails again and again is told of.

use std::time::{Duration, Instant};

/// How long the same complaint is not repeated.
const SILENCE: Duration = Duration::from_mins(1);

/// One thing that may fail again and again: told of at its first failure, and then each minute. A new one after a
/// success.
#[derive(Debug, Default)]
pub(crate) struct Complaint(Option<Instant>);

impl Complaint {
    /// Whether this failure is to be told of.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|said| now.saturating_duration_since(said) >= SILENCE);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_of_once_a_minute() {
        let start = onefold_core::Clock::manual().now();
        let mut complaint = Complaint::default();
        let told = |second: &u64| complaint.is_due(start + Duration::from_secs(*second));
        assert_eq!((0..150).filter(told).collect::<Vec<_>>(), [0, 60, 120]);
    }
}
