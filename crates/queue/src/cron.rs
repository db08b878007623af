//! Schedules: a job at every tick of a cron expression.
//!
//! Whether a tick is due is a pure decision over the last tick that fired; the claim of a tick and its job are
//! one commit of the engine, so two leaders make one job.

use crate::{Envelope, Error};
use chrono::{DateTime, TimeZone, Utc};
use croner::Cron;
use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

type NextTick = dyn Fn(&DateTime<Utc>) -> Option<DateTime<Utc>> + Send + Sync;

/// A job at every tick.
#[derive(Clone)]
pub struct Schedule {
    name: String,
    expression: String,
    job: Envelope,
    next: Arc<NextTick>,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("name", &self.name)
            .field("expression", &self.expression)
            .field("kind", &self.job.kind)
            .finish_non_exhaustive()
    }
}

impl Schedule {
    /// `job` at every tick of `expression` (five fields, or six with seconds first), in UTC. The name is kept in
    /// the engine: a schedule that is renamed starts anew.
    ///
    /// # Errors
    /// [`Error::InvalidSchedule`].
    pub fn new(name: impl Into<String>, expression: impl Into<String>, job: Envelope) -> Result<Self, Error> {
        Self::in_zone(name, expression, Utc, job)
    }

    /// As [`Schedule::new`], in another time zone: a `chrono_tz::Tz`, or a fixed offset. At a change of the clock a
    /// tick of the hour that is skipped comes when that hour would have ended.
    ///
    /// # Errors
    /// [`Error::InvalidSchedule`].
    pub fn in_zone<Tz>(
        name: impl Into<String>,
        expression: impl Into<String>,
        zone: Tz,
        job: Envelope,
    ) -> Result<Self, Error>
    where
        Tz: TimeZone + Send + Sync + 'static,
        Tz::Offset: Send + Sync,
    {
        let (name, expression) = (name.into(), expression.into());
        let invalid = |reason: String| Error::InvalidSchedule {
            name: name.clone(),
            expression: expression.clone(),
            reason,
        };
        let cron = Cron::from_str(&expression).map_err(|error| invalid(error.to_string()))?;
        let next = move |after: &DateTime<Utc>| {
            let tick = cron.find_next_occurrence(&after.with_timezone(&zone), false).ok()?;
            Some(tick.with_timezone(&Utc))
        };
        if next(&DateTime::UNIX_EPOCH).is_none() {
            return Err(invalid("it never ticks".to_owned()));
        }
        Ok(Self { name, expression, job, next: Arc::new(next) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The job of a tick.
    pub(crate) fn job(&self) -> &Envelope {
        &self.job
    }

    /// The first tick after a moment.
    pub(crate) fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.next)(&after)
    }

    /// The tick to fire now, if one is due after `last`: the newest one. What an outage skipped is caught up by
    /// one job, not by one for each tick.
    pub(crate) fn due(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut due = self.next(last).filter(|tick| *tick <= now)?;
        // A long outage of a frequent schedule: begin near its end instead of walking through it.
        let mut step = now - due;
        while step > chrono::TimeDelta::seconds(1) {
            match self.next(now - step / 2) {
                Some(tick) if tick <= now => {
                    due = due.max(tick);
                    step = step / 2;
                }
                _ => break,
            }
        }
        while let Some(tick) = self.next(due).filter(|tick| *tick <= now) {
            due = tick;
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(expression: &str) -> Schedule {
        Schedule::new("s", expression, Envelope::new("k", &()).unwrap()).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_outage_is_caught_up_by_one_tick() {
        let daily = schedule("0 3 * * *");
        let (last, now) = (at("2026-03-01T03:00:00Z"), at("2026-03-08T12:00:00Z"));
        assert_eq!(daily.due(last, now), Some(at("2026-03-08T03:00:00Z")));
        assert_eq!(daily.due(at("2026-03-08T03:00:00Z"), now), None);
    }

    #[test]
    fn a_wrong_expression_is_refused_by_name() {
        let job = || Envelope::new("k", &()).unwrap();
        let refused = Schedule::new("purge", "61 * * * *", job()).unwrap_err().to_string();
        assert!(refused.contains("purge") && refused.contains("61"), "{refused}");
        assert!(Schedule::new("never", "0 0 30 2 *", job()).is_err());
    }

    #[test]
    fn a_time_zone_shifts_the_ticks() {
        let berlin = chrono::FixedOffset::east_opt(3600).unwrap();
        let job = Envelope::new("k", &()).unwrap();
        let schedule = Schedule::in_zone("s", "0 3 * * *", berlin, job).unwrap();
        assert_eq!(schedule.next(at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T02:00:00Z")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_newest_due_tick_fires_and_then_none(
            expression in prop_oneof![Just("* * * * *"), Just("*/7 * * * *"), Just("0 3 * * *"), Just("15 2 * * 1")],
            last in 1_700_000_000_i64..1_700_500_000, gap in 0_i64..50_000,
        ) {
            let schedule = schedule(expression);
            let moment = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            let (last, now) = (moment(last), moment(last + gap));
            let mut newest = None;
            let mut tick = schedule.next(last);
            while let Some(due) = tick.filter(|tick| *tick <= now) {
                newest = Some(due);
                tick = schedule.next(due);
            }
            prop_assert_eq!(schedule.due(last, now), newest);
            if let Some(fired) = newest {
                prop_assert_eq!(schedule.due(fired, now), None);
            }
        }
    }
}
