//! How much memory each process takes.

use crate::harness::{ALL_CORES, Outcome, Settings, Table, Wrk, post, proportional_bytes, resident_bytes};
use crate::ours::{Home, System};
use anyhow::{Context as _, Result};
use std::time::Duration;
use tempfile::TempDir;

const QUESTION: &str = "How much memory does each node and engine take, idle and after load?";
const RESIDENT: &str = "MiB, RSS";
const PROPORTIONAL: &str = "MiB, PSS";
const IDLE: &str = "idle";
const LOADED: &str = "after load";
const SETTLE: Duration = Duration::from_secs(10);
const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn run(settings: &Settings) -> Result<Outcome> {
    let directory = TempDir::new().context("make a directory")?;
    let system = Home::new(settings, directory.path())?.up(ALL_CORES)?;
    let mut table = Table::new()?;
    std::thread::sleep(SETTLE);
    weigh(&mut table, &system, IDLE)?;
    let created = post(system.port(), "/links", r#"{"url":"https://example.com/","code":"abcd1234"}"#)?;
    let url = format!("http://127.0.0.1:{}/abcd1234", system.port());
    Wrk { url, connections: 256, duration: SETTLE }.run().with_context(|| created.body)?;
    std::thread::sleep(SETTLE);
    weigh(&mut table, &system, LOADED)?;
    system.down()?.remove()?;
    let notes = [
        "From /proc/PID/smaps_rollup, a process with its children. RSS counts shared pages in every process; PSS \
         divides them, so PSS may be added up. One run.",
        "Idle: 10 s after the start. After load: 10 s of `GET /{code}` over 256 connections, and 10 s of rest.",
    ];
    let settings = Settings { rounds: 1, ..settings.clone() };
    Ok(table.outcome(&settings, ("memory", QUESTION), &notes, vec!["links, release build".to_owned()]))
}

fn weigh(table: &mut Table, system: &System, case: &str) -> Result<()> {
    for node in system.nodes()? {
        let pids = node.pids();
        let subject = format!("{} ({})", node.name, node.role);
        table.add(case, &subject, RESIDENT, resident_bytes(&pids) / MIB);
        table.add(case, &subject, PROPORTIONAL, proportional_bytes(&pids) / MIB);
    }
    table.add(case, "all", PROPORTIONAL, proportional_bytes(&system.pids()) / MIB);
    Ok(())
}
