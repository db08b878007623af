//! The days of history and inbox: made ahead, dropped whole.

use super::sql;
use crate::Error;
use crate::store::Retention;
use chrono::{Days, NaiveDate};
use onefold_database::{Database, Exclusive};
use std::collections::BTreeSet;

/// Days made ahead. The leader may be away for a week before rows go to the default partition, where they cost
/// a scan when their day is made.
const DAYS_AHEAD: u64 = 7;

const HISTORY: &str = "job_done";
const INBOX: &str = "inbox";

/// Makes the days to come and drops those past.
pub(super) async fn tidy(database: &Database, retention: Retention) -> Result<(), Error> {
    let connection = database.exclusive().await?;
    connection.execute_cached(sql::PRUNE_WINDOWS, &[]).await?;
    let row = connection.query_one(sql::OLDEST_DAY, &[]).await?;
    let (today, oldest): (NaiveDate, NaiveDate) = (row.try_get(0)?, row.try_get(1)?);
    let days_back = |days: u32| today - Days::new(days.into());
    keep(&connection, HISTORY, today, days_back(retention.history_days)).await?;
    // A job that may still be delivered needs its row of the inbox, however old it is.
    let inbox_from = days_back(retention.inbox_days).min(oldest);
    keep(&connection, INBOX, today, inbox_from).await
}

/// Has `table` hold the days from `first` to some days ahead of `today`.
async fn keep(connection: &Exclusive, table: &str, today: NaiveDate, first: NaiveDate) -> Result<(), Error> {
    let rows = connection.query_cached(sql::PARTITIONS, &[&table]).await?;
    let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let existing: BTreeSet<NaiveDate> = names.iter().filter_map(|name| day_of(table, name)).collect();
    let plan = Plan::of(&existing, today, first);
    for statement in plan.statements(table, first) {
        // Each may be refused, and is tried again in an hour: a day whose rows are in the default partition
        // already stays there, and a lock that a long transaction holds is not waited for, or everybody would
        // wait behind it.
        let guarded = format!("begin; set local lock_timeout = '500ms'; {statement}; commit");
        if let Err(error) = connection.batch_execute(&guarded).await {
            connection.batch_execute("rollback").await?;
            tracing::debug!(table, "a day is left as it is: {error}");
        }
    }
    Ok(())
}

/// Which days to make and which to drop.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    make: Vec<NaiveDate>,
    drop: Vec<NaiveDate>,
}

impl Plan {
    fn of(existing: &BTreeSet<NaiveDate>, today: NaiveDate, first: NaiveDate) -> Self {
        let ahead = (0..=DAYS_AHEAD).map(|days| today + Days::new(days));
        Self {
            make: ahead.filter(|day| !existing.contains(day)).collect(),
            drop: existing.range(..first).copied().collect(),
        }
    }

    /// Each by itself, so that one refusal stops no other.
    fn statements(&self, table: &str, first: NaiveDate) -> Vec<String> {
        let make = self.make.iter().map(|day| {
            let name = name_of(table, *day);
            let next = *day + Days::new(1);
            format!(
                "create table if not exists {name} partition of onefold.{table} \
                 for values from ('{day}') to ('{next}')"
            )
        });
        let drop = self.drop.iter().map(|day| format!("drop table if exists {}", name_of(table, *day)));
        let column = if table == HISTORY { "finished_at" } else { "message_day" };
        let sweep = format!("delete from onefold.{table}_default where {column} < '{first}'");
        make.chain(drop).chain([sweep]).collect()
    }
}

fn name_of(table: &str, day: NaiveDate) -> String {
    format!("onefold.{table}_{}", day.format("%Y%m%d"))
}

fn day_of(table: &str, name: &str) -> Option<NaiveDate> {
    let day = name.strip_prefix(table)?.strip_prefix('_')?;
    NaiveDate::parse_from_str(day, "%Y%m%d").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(n: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(n)
    }

    proptest! {
        #[test]
        fn no_day_that_is_kept_is_ever_dropped(
            existing in proptest::collection::btree_set(0_u64..60, 0..40), today in 20_u64..40, back in 0_u64..20,
        ) {
            let existing = existing.into_iter().map(day).collect();
            let (today, first) = (day(today), day(today - back));
            let plan = Plan::of(&existing, today, first);
            prop_assert!(plan.drop.iter().all(|day| *day < first));
            prop_assert!(plan.make.iter().all(|day| *day >= today && !existing.contains(day)));
        }
    }

    #[test]
    fn a_partition_says_its_day() {
        let name = name_of("inbox", day(30));
        assert_eq!(day_of("inbox", name.strip_prefix("onefold.").unwrap()), Some(day(30)));
        assert_eq!(day_of("inbox", "inbox_default"), None);
    }
}
