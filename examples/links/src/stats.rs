//! What is known of a link's clicks. Dear to count, so it is cached for a moment, in both levels.

use crate::link::Code;
use axum::Json;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use onefold::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const STATS: Cached<(String, i32), Stats> = Cached::new("stats", Duration::from_secs(2)).dear();
const DAYS_MAX: i32 = 366;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Stats {
    code: String,
    total: i64,
    by_day: Vec<Day>,
    by_referrer: Vec<Share>,
    by_country: Vec<Share>,
    /// How many links lead to the same host.
    host_links: i64,
}

#[derive(Clone, Serialize, Deserialize, FromRow)]
struct Day {
    day: NaiveDate,
    clicks: i64,
}

#[derive(Clone, Serialize, Deserialize, FromRow)]
struct Share {
    name: Option<String>,
    clicks: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    days: Option<i32>,
}

pub(crate) async fn stats(
    cache: Cache,
    Path(code): Path<Code>,
    Query(window): Query<Window>,
) -> Result<Response> {
    let days = window.days.unwrap_or(30);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Error::invalid("days", "write 1 to 366"));
    }
    let stats = cache
        .at(Read::Bounded(Duration::from_secs(2)))
        .get_or(&STATS, &(code.as_str().to_owned(), days), async |db| count(&db, code.as_str(), days).await)
        .await?
        .ok_or(Error::not_found())?;
    Ok(Json(stats).into_response())
}

async fn count(db: &Reader, code: &str, days: i32) -> Result<Option<Stats>> {
    const HOST_LINKS: &str = "select coalesce((select hosts.links from hosts \
         where hosts.host = lower(substring(links.url from '^https?://([^/:?#]+)'))), 0) from links where code = $1";
    const BY_DAY: &str = "select (at at time zone 'UTC')::date as day, count(*) as clicks from clicks \
         where code = $1 and at > now() - make_interval(days => $2) group by 1 order by 1";
    const BY_REFERRER: &str = "select referrer as name, count(*) as clicks from clicks \
         where code = $1 and at > now() - make_interval(days => $2) group by 1 order by 2 desc, 1 limit 20";
    const BY_COUNTRY: &str = "select country as name, count(*) as clicks from clicks \
         where code = $1 and at > now() - make_interval(days => $2) group by 1 order by 2 desc, 1 limit 20";
    let Some(host_links) = db.query_opt(HOST_LINKS, &[&code]).await? else { return Ok(None) };
    let by_day: Vec<Day> = db.query(BY_DAY, &[&code, &days]).await?;
    let total = by_day.iter().map(|day| day.clicks).sum();
    let by_referrer = db.query(BY_REFERRER, &[&code, &days]).await?;
    let by_country = db.query(BY_COUNTRY, &[&code, &days]).await?;
    Ok(Some(Stats { code: code.to_owned(), total, by_day, by_referrer, by_country, host_links }))
}
