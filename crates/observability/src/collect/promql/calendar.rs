//! The functions of the calendar, in UTC.

use super::number;
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

pub(crate) type Time = DateTime<Utc>;

/// A value in seconds since 1970 as a time; `None` beyond what a calendar holds.
pub(crate) fn time(seconds: f64) -> Option<Time> {
    if seconds.is_nan() { None } else { DateTime::from_timestamp(number::whole_seconds(seconds), 0) }
}

pub(crate) fn day_of_month(time: &Time) -> f64 {
    time.day().into()
}

/// Sunday is 0.
pub(crate) fn day_of_week(time: &Time) -> f64 {
    time.weekday().num_days_from_sunday().into()
}

pub(crate) fn day_of_year(time: &Time) -> f64 {
    time.ordinal().into()
}

pub(crate) fn days_in_month(time: &Time) -> f64 {
    time.num_days_in_month().into()
}

pub(crate) fn hour(time: &Time) -> f64 {
    time.hour().into()
}

pub(crate) fn minute(time: &Time) -> f64 {
    time.minute().into()
}

pub(crate) fn month(time: &Time) -> f64 {
    time.month().into()
}

pub(crate) fn year(time: &Time) -> f64 {
    time.year().into()
}
