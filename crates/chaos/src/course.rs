//! What is done to the bytes of a connection: a course for each way.

use crate::fault::Way;
use std::num::NonZeroU64;
use std::time::Duration;

/// What is done to the bytes that go one way. The default does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// How much later they arrive.
    pub delay: Duration,
    /// By how much more at most, by chance; they stay in order.
    pub jitter: Duration,
    /// How many may pass, over all connections of the edge.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Whether none pass: they are kept, and go on once this is over.
    pub is_cut: bool,
}

impl Course {
    /// Both at once: delays add up, the narrowest counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            delay: self.delay + other.delay,
            jitter: self.jitter + other.jitter,
            bytes_per_second: self.bytes_per_second.into_iter().chain(other.bytes_per_second).min(),
            is_cut: self.is_cut || other.is_cut,
        }
    }
}

/// What is done to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// From the one who opened it.
    pub there: Course,
    /// To the one who opened it.
    pub back: Course,
}

impl Plan {
    /// The same course for one way or both.
    pub fn of(course: Course, way: Way) -> Self {
        let on = |is_on: bool| if is_on { course } else { Course::default() };
        Self { there: on(way.goes_there()), back: on(way.goes_back()) }
    }

    /// Both at once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { there: self.there.and(other.there), back: self.back.and(other.back) }
    }
}
