//! What telemetry costs a request.

use crate::harness::{
    CpuTime, Goal, LOAD_CORE, Outcome, Pinned, SERVER_CORE, Settings, Table, Wrk, free_port, wait_for_port,
};
use anyhow::{Context as _, Result};
use std::path::Path;
use tempfile::TempDir;

const QUESTION: &str = "What do spans cost the handler of GET /{code}, against none at all?";
const CASE: &str = "32 connections";
const CPU: &str = "CPU µs/request";
const RATE: &str = "requests/s";
const OFF: &str = "no telemetry";

/// Subjects by the share of requests that is recorded in full, and the goal of each.
const SUBJECTS: [(&str, Option<&str>, Option<f64>); 4] = [
    (OFF, None, None),
    ("ring, none sampled", Some("0"), Some(1.02)),
    ("one in ten sampled", Some("0.1"), Some(1.03)),
    ("all sampled", Some("1"), Some(1.10)),
];

pub(super) fn run(settings: &Settings) -> Result<Outcome> {
    let directory = TempDir::new().context("make a directory")?;
    let collector = free_port()?;
    let store = directory.path().join("store").display().to_string();
    let _collector = start(directory.path(), LOAD_CORE, "collector", collector, &[store])?;
    let mut servers = Vec::new();
    for (number, (_, sample, _)) in SUBJECTS.iter().enumerate() {
        let otlp = format!("--otlp=http://127.0.0.1:{collector}");
        let arguments = sample.map_or_else(Vec::new, |share| vec![otlp, format!("--sample={share}")]);
        let port = free_port()?;
        let name = format!("traced-{number}");
        servers
            .push((port, start_named(directory.path(), SERVER_CORE, ("traced", &name), port, &arguments)?));
    }
    let mut table = Table::new()?;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        for ((subject, _, _), (port, server)) in SUBJECTS.iter().zip(&servers) {
            let url = format!("http://127.0.0.1:{port}/abcd1234");
            let wrk = Wrk { url, connections: 32, duration: settings.window };
            let before = CpuTime::of(&[server.pid()]);
            let report = wrk.run().context(*subject)?;
            let used = CpuTime::of(&[server.pid()]) - before;
            table.add(CASE, subject, CPU, used.seconds * 1e6 / report.requests as f64);
            table.add(CASE, subject, RATE, report.rate());
        }
    }
    for (subject, _, goal) in SUBJECTS {
        if let Some(goal) = goal {
            table.compare((CASE, CPU), subject, OFF, Some(Goal::AtMost(goal)))?;
        }
    }
    let notes = [
        "An axum handler that redirects from an in-process cache, in one thread on a core of its own, with the three \
         spans of an app node and their 21 attributes; wrk has the other core, with a collector behind it that stores what \
         it is sent. CPU is user and system time of the handler's process, with encoding and sending.",
        "This handler does nothing else: no database, no session, no deadline. A whole request of the example costs the \
         system many times as much, so that the same spans are a smaller part of it.",
        "No telemetry: the same program without a subscriber. The ring holds 4 MiB.",
    ];
    Ok(table.outcome(settings, ("telemetry", QUESTION), &notes, vec!["axum 0.8".to_owned()]))
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
