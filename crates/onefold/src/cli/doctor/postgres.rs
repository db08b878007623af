//! Postgres: its servers, and the settings that the promises need.

use super::super::reach::Reach;
use super::finding::Finding;
use crate::App;
use crate::node::schema;
use onefold_database::ServerRole;
use std::time::{Duration, SystemTime};

/// Setting, the value that the promises need, and why.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("synchronous_commit", "remote_apply", "an acknowledged write is visible on one replica"),
    ("hot_standby_feedback", "off", "a long read on a replica must not pin the queue's vacuum horizon"),
    ("fsync", "on", "an acknowledged write survives a crash"),
    ("full_page_writes", "on", "a crash must not tear pages"),
];

/// WAL level, the standbys' patience in milliseconds, connections in all and reserved ones, and the clock.
const NUMBERS: &str = "\
select current_setting('wal_level'),
       (select setting::bigint from pg_settings where name = 'max_standby_streaming_delay'),
       current_setting('max_connections')::bigint,
       current_setting('superuser_reserved_connections')::bigint,
       clock_timestamp()";
const DELAY_MAX_MS: i64 = 500;
const SKEW_MAX: Duration = Duration::from_millis(500);

pub(super) async fn check(app: &App, reach: &Reach) -> Vec<Finding> {
    let mut findings = Vec::new();
    match reach.database.check_schema(&schema(app)).await {
        Ok(()) => findings.push(Finding::Good("the schema is up to date".to_owned())),
        Err(error) => findings.push(Finding::Wrong {
            problem: error.to_string(),
            fix: "run `migrate`, or deploy the build that made it".to_owned(),
        }),
    }
    findings.extend(settings(reach).await);
    findings.extend(numbers(reach).await);
    let budget = reach.topology.database.connection_budget();
    findings.push(Finding::Note(format!(
        "each node opens up to {} connections to the primary and {} to each replica",
        budget.primary, budget.replica
    )));
    findings.push(Finding::Note(
        "a Postgres of `up` fails over by itself; one of your own is promoted by what runs it, and found by asking"
            .to_owned(),
    ));
    findings
}

pub(super) fn servers(reach: &Reach) -> Vec<Finding> {
    let servers = reach.database.servers();
    let mut findings = Vec::new();
    for server in &servers {
        let mut what = format!("{} at {} is {:?}", server.name, server.address, server.role).to_lowercase();
        match (server.role, server.lag) {
            (ServerRole::Primary, _) => what = format!("{what} on timeline {}", server.timeline),
            (ServerRole::Replica, Some(lag)) => {
                what =
                    format!("{what} on timeline {}, {} ms behind at most", server.timeline, lag.as_millis());
            }
            (ServerRole::Replica, None) => {
                what = format!("{what} on timeline {}, and how far behind is not known", server.timeline);
            }
            _ => {}
        }
        what = format!("{what}, sslmode={}", server.sslmode);
        if let Some(trouble) = &server.trouble {
            what = format!("{what} ({trouble})");
        }
        let fix = match server.role {
            ServerRole::Stranger => "take it out of the configuration",
            ServerRole::Primary => "stop it, and let it follow the one that is used",
            _ => "look at its log; nodes read elsewhere meanwhile",
        };
        findings.push(Finding::of(server.trouble.is_none(), what, fix));
    }
    // Two addresses of one server are no rivals: neither has any trouble.
    let is_used = servers.iter().any(|server| server.role == ServerRole::Primary && server.trouble.is_none());
    findings.push(Finding::of(
        is_used,
        if is_used { "a primary takes writes" } else { "no server takes writes" },
        "there must be one: start it, promote a replica where there is none, or stop the stale one",
    ));
    findings
}

/// The settings of the primary that are numbers, and its clock.
async fn numbers(reach: &Reach) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Ok(primary) = reach.database.shared().await else { return findings };
    let asked = reach.clock.wall();
    let Ok(rows) = primary.query(NUMBERS, &[]).await else { return findings };
    let answered = reach.clock.wall();
    let Some(row) = rows.first() else { return findings };
    if let Ok(level) = row.try_get::<_, String>(0) {
        let fix = "set it to replica: without that there can be no standby";
        findings.push(Finding::of(level != "minimal", format!("wal_level = {level}"), fix));
    }
    if let Ok(delay_ms) = row.try_get::<_, i64>(1) {
        let what = format!("max_standby_streaming_delay = {delay_ms} ms");
        let fix = "set it to 500 ms or less on every server: a long read on the replicas would stall commits";
        findings.push(Finding::of((0..=DELAY_MAX_MS).contains(&delay_ms), what, fix));
    }
    if let (Ok(all), Ok(reserved)) = (row.try_get::<_, i64>(2), row.try_get::<_, i64>(3)) {
        findings.push(connections(reach, all - reserved));
    }
    if let Ok(clock) = row.try_get::<_, std::time::SystemTime>(4) {
        findings.push(skew(asked, clock, answered));
    }
    findings
}

/// Whether all nodes of the topology may open what they may open.
fn connections(reach: &Reach, free: i64) -> Finding {
    let (nodes, each) =
        (crate::up::nodes_count(&reach.topology), reach.topology.database.connection_budget());
    let wanted = each.primary * nodes;
    let what = format!(
        "{nodes} nodes of the topology may open {wanted} connections to the primary, {free} are there for ordinary accounts"
    );
    let fits = i64::try_from(wanted).is_ok_and(|wanted| wanted <= free);
    Finding::of(fits, what, "raise max_connections, or lower database.exclusive_connections_max")
}

/// How far the primary's clock lies outside of the time between question and answer.
fn skew(asked: SystemTime, clock: SystemTime, answered: SystemTime) -> Finding {
    let behind = asked.duration_since(clock).unwrap_or_default();
    let ahead = clock.duration_since(answered).unwrap_or_default();
    let off = behind.max(ahead);
    let way = if behind > ahead { "behind" } else { "ahead of" };
    let what = format!("the primary's clock is at least {} ms {way} this machine's", off.as_millis());
    let fix = "let both follow a time server: due jobs, windows and dates go by the primary's clock";
    if off.is_zero() {
        return Finding::Good("the primary's clock agrees with this machine's".to_owned());
    }
    Finding::of(off < SKEW_MAX, what, fix)
}

async fn settings(reach: &Reach) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Ok(primary) = reach.database.shared().await else { return findings };
    for (name, wanted, why) in SETTINGS {
        let value: Result<String, _> = primary.query_one("select current_setting($1)", &[&name]).await;
        match value {
            Ok(value) if value == wanted => findings.push(Finding::Good(format!("{name} = {value}"))),
            Ok(value) => findings.push(Finding::Wrong {
                problem: format!("{name} = {value}"),
                fix: format!("set it to {wanted}: {why}"),
            }),
            Err(error) => findings.push(Finding::Wrong {
                problem: format!("{name} cannot be read: {error}"),
                fix: "look at the primary's log".to_owned(),
            }),
        }
    }
    let standbys: Result<String, _> =
        primary.query_one("select current_setting('synchronous_standby_names')", &[]).await;
    let standbys = standbys.unwrap_or_default();
    findings.push(Finding::of(
        !standbys.is_empty(),
        format!("synchronous_standby_names = '{standbys}'"),
        "name the replicas, as in ANY 1 (…): else an acknowledged write is on one server only",
    ));
    findings
}
