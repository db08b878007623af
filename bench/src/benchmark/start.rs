//! How long `up` takes.

use crate::harness::{ALL_CORES, Goal, Outcome, Settings, Table};
use crate::ours::Home;
use anyhow::{Context as _, Result};
use tempfile::TempDir;

const QUESTION: &str = "How long does `links up` take to the first 200 through the balancer?";
const SECONDS: &str = "s";
const EMPTY: &str = "empty state";
const RESUMED: &str = "resumed state";
const SUBJECT: &str = "links up";

pub(super) fn run(settings: &Settings) -> Result<Outcome> {
    let mut table = Table::new()?;
    for _ in 0..settings.rounds {
        let directory = TempDir::new().context("make a directory")?;
        let home = Home::new(settings, directory.path())?;
        let first = home.up(ALL_CORES)?;
        table.add(EMPTY, SUBJECT, SECONDS, first.took.as_secs_f64());
        let second = first.down()?.up(ALL_CORES)?;
        table.add(RESUMED, SUBJECT, SECONDS, second.took.as_secs_f64());
        second.down()?.remove()?;
    }
    table.expect((EMPTY, SECONDS), SUBJECT, Goal::AtMost(3.0))?;
    let notes = [
        "From the start of the process to a 200 for `GET /links`, which crosses the balancer, an app node and a Postgres; \
         asked every 5 ms. The binary is built. Three Postgres, three app nodes, two workers, a balancer, on two cores.",
        "Empty: no state; the cluster is made. Where the machine has no template of it yet, the first round makes one. \
         Resumed: the same state after a clean stop.",
    ];
    Ok(table.outcome(settings, ("start", QUESTION), &notes, vec!["links, release build".to_owned()]))
}
