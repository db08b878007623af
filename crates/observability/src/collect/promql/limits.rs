//! What one query may cost, and the meter that holds it to that.

use super::error::Error;
use onefold_core::Clock;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// What one query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples read, and points computed on the way: 16 bytes each.
    pub samples_max: usize,
    /// Steps of a range query, as in Prometheus.
    pub steps_max: usize,
    /// Points in an answer.
    pub points_max: usize,
    /// How long it may run.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples_max: 10_000_000,
            steps_max: 11_000,
            points_max: 500_000,
            timeout: Duration::from_secs(20),
        }
    }
}

/// How much of its limits a query has used.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    clock: Clock,
    deadline: Instant,
    samples_left: Cell<usize>,
}

impl Meter {
    /// A meter at the start of a query.
    pub fn new(limits: Limits, clock: &Clock) -> Self {
        let samples_left = Cell::new(limits.samples_max);
        Self { limits, deadline: clock.now() + limits.timeout, clock: clock.clone(), samples_left }
    }

    /// Counts samples that are about to be held, and looks at the clock.
    pub fn samples(&self, n: usize) -> Result<(), Error> {
        let left = self.samples_left.get().checked_sub(n).ok_or_else(|| {
            Error::TooLarge(format!(
                "the query touches more than {} samples: narrow the range or the selectors, or widen the step",
                self.limits.samples_max
            ))
        })?;
        self.samples_left.set(left);
        if self.clock.now() > self.deadline {
            return Err(Error::Timeout(self.limits.timeout));
        }
        Ok(())
    }
}
