//! Schedules.

/// Makes a schedule known; it fires from the next tick on.
pub(crate) const SCHEDULE: &str =
    "insert into onefold.cron (name, last_tick) values ($1, $2) on conflict do nothing";

/// The last tick of a schedule.
pub(crate) const LAST_TICK: &str = "select last_tick from onefold.cron where name = $1";

/// Claims a tick: of two leaders one gets it.
pub(crate) const FIRE: &str = "update onefold.cron set last_tick = $2 where name = $1 and last_tick < $2";
