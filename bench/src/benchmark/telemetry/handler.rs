//! The harder half: a handler that does nothing else, so that its spans are a large part of it.
//!
//! wrk shares its core. On another, it sleeps the more the slower the handler is, and the handler pays for waking it: half
//! as much again as its spans cost.

use super::{CPU, RATE, SUBJECTS};
use crate::harness::{
    CpuTime, LOAD_CORE, Pinned, SERVER_CORE, Settings, Table, Wrk, free_port, wait_for_port,
};
use anyhow::{Context as _, Result};
use std::path::Path;
use tempfile::TempDir;

pub(super) const CASE: &str = "a handler alone, 32 connections";

pub(super) fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let directory = TempDir::new().context("make a directory")?;
    let collector = free_port()?;
    let store = directory.path().join("store").display().to_string();
    let _collector = start(directory.path(), LOAD_CORE, "collector", collector, &[store])?;
    let mut servers = Vec::new();
    for (number, subject) in SUBJECTS.iter().enumerate() {
        let otlp = format!("--otlp=http://127.0.0.1:{collector}");
        let arguments = subject.sample.map_or_else(Vec::new, |share| vec![otlp, format!("--sample={share}")]);
        let port = free_port()?;
        let name = format!("traced-{number}");
        servers
            .push((port, start_named(directory.path(), SERVER_CORE, ("traced", &name), port, &arguments)?));
    }
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        for (subject, (port, server)) in SUBJECTS.iter().zip(&servers) {
            let url = format!("http://127.0.0.1:{port}/abcd1234");
            let wrk = Wrk { url, connections: 32, duration: settings.window };
            let before = CpuTime::of_threads(&[server.pid()]);
            let report = wrk.run_on(SERVER_CORE).context(subject.name)?;
            let used = CpuTime::of_threads(&[server.pid()]) - before;
            table.add(CASE, subject.name, CPU, used.seconds * 1e6 / report.requests as f64);
            table.add(CASE, subject.name, RATE, report.rate());
        }
    }
    Ok(())
}

fn start(directory: &Path, core: &str, what: &str, port: u16, arguments: &[String]) -> Result<Pinned> {
    start_named(directory, core, (what, what), port, arguments)
}

fn start_named(
    directory: &Path,
    core: &str,
    (what, name): (&str, &str),
    port: u16,
    arguments: &[String],
) -> Result<Pinned> {
    let program = std::env::current_exe().context("find this program")?;
    let mut all = vec!["serve".to_owned(), what.to_owned(), port.to_string()];
    all.extend_from_slice(arguments);
    let process = Pinned::start(core, program, all, &directory.join(format!("{name}.log")))?;
    wait_for_port(port)?;
    Ok(process)
}
