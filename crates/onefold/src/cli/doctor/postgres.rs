//! Postgres: its servers, and the settings that the promises need.

use super::super::reach::Reach;
use super::finding::Finding;
use crate::App;
use crate::node::schema;
use onefold_database::ServerRole;

/// Setting, the value that the promises need, and why.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("synchronous_commit", "remote_apply", "an acknowledged write is visible on one replica"),
    ("hot_standby_feedback", "off", "a long read on a replica must not pin the queue's vacuum horizon"),
    ("fsync", "on", "an acknowledged write survives a crash"),
    ("full_page_writes", "on", "a crash must not tear pages"),
];

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
        if let Some(trouble) = &server.trouble {
            what = format!("{what} ({trouble})");
        }
        let fix = "look at its log; nodes read elsewhere meanwhile";
        findings.push(Finding::of(server.role != ServerRole::Unreachable, what, fix));
    }
    let primaries = servers.iter().filter(|server| server.role == ServerRole::Primary).count();
    findings.push(Finding::of(
        primaries == 1,
        format!("servers that are primary: {primaries}"),
        "there must be one: start it, promote a replica where there is none, or stop the stale one",
    ));
    findings
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
