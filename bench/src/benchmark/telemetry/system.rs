//! The example's own request: balancer, app node, cache, session, deadline, and the click's job.

use super::{CPU, RATE, SUBJECTS, Subject};
use crate::harness::{CpuTime, SERVER_CORE, Settings, Table, Wrk, post};
use crate::ours::{Home, Node, System, wait_until_written};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::time::Duration;
use tempfile::TempDir;

pub(super) const CASE: &str = "through the system, 32 connections";
const CONNECTIONS: usize = 32;
const CODE: &str = "abcd1234";
const TARGET: &str = "https://example.com/some/page?of=a&certain=length";
/// Fills caches and pools.
const WARM: Duration = Duration::from_secs(1);

pub(super) async fn measure(settings: &Settings, table: &mut Table) -> Result<()> {
    let directory = TempDir::new().context("make a directory")?;
    let home = Home::new(settings, directory.path())?;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        // Each is once the first: what the machine does meanwhile should be nobody's alone.
        for turn in 0..SUBJECTS.len() {
            let subject = &SUBJECTS[(round + turn) % SUBJECTS.len()];
            let home = home.with_topology(|text| subject.set(text))?;
            let system = home.up(SERVER_CORE)?;
            subject.measure(settings, table, &system).await.context(subject.name)?;
            system.down()?;
        }
    }
    home.remove()
}

impl Subject {
    /// Adds its settings to a topology.
    fn set(&self, topology: &mut String) {
        let _ = match self.sample {
            Some(share) => write!(topology, "\n[telemetry]\nlog = \"warn\"\nsample = {share}\n"),
            None => write!(topology, "\n[telemetry]\nlog = \"off\"\notlp = \"\"\n"),
        };
    }

    async fn measure(&self, settings: &Settings, table: &mut Table, system: &System) -> Result<()> {
        let created = post(system.port(), "/links", &format!(r#"{{"url":"{TARGET}","code":"{CODE}"}}"#))?;
        // It is there from the second start on.
        if created.status != 201 && created.status != 409 {
            bail!("the link was not created: {}", created.body);
        }
        let load = |duration| {
            let url = format!("http://127.0.0.1:{}/{CODE}", system.port());
            Wrk { url, connections: CONNECTIONS, duration }.run()
        };
        load(WARM)?;
        let nodes = system.nodes()?;
        let path = nodes.iter().filter(|node| node.is_on_request_path());
        let pids: Vec<u32> = path.flat_map(Node::pids).collect();
        let before = CpuTime::of_threads(&pids);
        let report = load(settings.window)?;
        let used = CpuTime::of_threads(&pids) - before;
        table.add(CASE, self.name, CPU, used.seconds * 1e6 / report.requests as f64);
        table.add(CASE, self.name, RATE, report.rate());
        // The next subject does not pay for this one's clicks.
        wait_until_written(&system.primary().await?).await
    }
}
