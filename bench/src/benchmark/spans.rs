//! How much the observer's store of spans takes, how fast, and how fast it answers.

use crate::harness::{
    CpuTime, Goal, LOAD_CORE, Outcome, Pinned, SERVER_CORE, Settings, Table, crate_version, disk_bytes,
    free_port, get, resident_bytes, wait_for_port,
};
use crate::load::sender::{Sender, Target};
use crate::load::telemetry::Telemetry;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const QUESTION: &str = "How many spans a second does the observer take on a core, how much disk does a span need, and how \
                        fast are traces found, against a row for each span in SQLite?";
const RATE: &str = "spans/s of CPU";
const DISK: &str = "bytes/span on disk";
const LOOKUP_P50: &str = "lookup ms, p50";
const LOOKUP_P99: &str = "lookup ms, p99";
const SEARCH: &str = "ms, worst of 5";
const MEMORY: &str = "MiB, RSS";
const ONEFOLD: &str = "Onefold observer";
const ROWS: &str = "SQLite, a row a span";
const MILLION: &str = "1 M spans";
const FULL: &str = "10 M spans";
const LOOKUPS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn run(settings: &Settings) -> Result<Outcome> {
    let mut table = Table::new()?;
    pin_load()?;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        for subject in [ROWS, ONEFOLD] {
            let (server, telemetry, _directory) = fill(&mut table, settings, (MILLION, subject), 1_000_000)?;
            lookups(&mut table, (MILLION, subject), &server, &telemetry)?;
        }
    }
    let (server, telemetry, _directory) = fill(&mut table, settings, (FULL, ONEFOLD), 10_000_000)?;
    lookups(&mut table, (FULL, ONEFOLD), &server, &telemetry)?;
    searches(&mut table, &server)?;
    table.add(FULL, ONEFOLD, MEMORY, resident_bytes(&[server.process.pid()]) / MIB);
    judge(&mut table)?;
    let notes = [
        "Traces of 8 spans over 4 nodes, about 5 attributes each, made by seed; requests of some hundred spans in \
         protobuf over HTTP/1.1 on one connection. The server, pinned to one core, decodes, stores and makes findable; \
         its CPU time counts, flushes included.",
        "Rows: decoded by prost, a row a span with its attributes as JSON, indexes on trace, start and name; commits \
         each 500 ms, as ours.",
        "Lookups: 200 random traces over HTTP, a connection each. Searches are of all that is stored, the worst of five.",
    ];
    let versions = vec![crate_version("rusqlite")];
    Ok(table.outcome(settings, ("spans", QUESTION), &notes, versions))
}

fn judge(table: &mut Table) -> Result<()> {
    table.compare((MILLION, RATE), ONEFOLD, ROWS, None)?;
    table.compare((MILLION, DISK), ONEFOLD, ROWS, None)?;
    table.compare((MILLION, LOOKUP_P50), ONEFOLD, ROWS, None)?;
    table.expect((MILLION, RATE), ONEFOLD, Goal::AtLeast(200_000.0))?;
    table.expect((FULL, DISK), ONEFOLD, Goal::AtMost(60.0))?;
    table.expect((FULL, LOOKUP_P99), ONEFOLD, Goal::AtMost(10.0))?;
    table.expect((FULL, MEMORY), ONEFOLD, Goal::AtMost(200.0))?;
    for (name, _) in SEARCHES {
        table.expect((name, SEARCH), ONEFOLD, Goal::AtMost(300.0))?;
    }
    Ok(())
}

/// The load, which is this process, stays off the server's core.
fn pin_load() -> Result<()> {
    crate::harness::pin(LOAD_CORE, &[std::process::id()])
}

struct Server {
    process: Pinned,
    subject: &'static str,
    reads: u16,
}

impl Server {
    fn start(subject: &'static str, directory: &Path) -> Result<(Self, u16)> {
        let (otlp, reads) = (free_port()?, free_port()?);
        let store = directory.join("store");
        let store = store.to_str().context("a path that is text")?;
        let (otlp_text, reads_text) = (otlp.to_string(), reads.to_string());
        let arguments = match subject {
            ONEFOLD => vec!["serve", "observer", &otlp_text, &reads_text, store],
            _ => vec!["serve", "rows", &otlp_text, store],
        };
        let program = std::env::current_exe().context("find this program")?;
        let process = Pinned::start(SERVER_CORE, program, arguments, &directory.join("log"))?;
        wait_for_port(otlp)?;
        let reads = if subject == ONEFOLD { reads } else { otlp };
        wait_for_port(reads)?;
        Ok((Self { process, subject, reads }, otlp))
    }

    fn stored(&self) -> Result<usize> {
        if self.subject == ROWS {
            return get(self.reads, "/count")?.body.trim().parse().context("read a count");
        }
        let retention: serde_json::Value = serde_json::from_str(&get(self.reads, "/api/retention")?.body)?;
        let count = retention["signals"][0]["count"].as_u64().context("read a count")?;
        usize::try_from(count).context("read a count")
    }

    fn trace_path(&self, id: u128) -> String {
        if self.subject == ROWS { format!("/trace/{id:032x}") } else { format!("/api/traces/{id:032x}") }
    }
}

fn fill(
    table: &mut Table,
    settings: &Settings,
    (case, subject): (&str, &'static str),
    spans: usize,
) -> Result<(Server, Telemetry, TempDir)> {
    let directory = TempDir::new().context("make a directory")?;
    let (server, otlp) = Server::start(subject, directory.path())?;
    let mut telemetry = Telemetry::new(settings.seed)?;
    let mut sender = Sender::new(otlp, Target::Traces)?;
    let before = CpuTime::of(&[server.process.pid()]);
    let mut sent = 0;
    while sent < spans {
        for request in telemetry.requests() {
            sender.send(&request)?;
        }
        sent += Telemetry::spans_at_once();
    }
    let begun = Instant::now();
    while server.stored()? < sent {
        if begun.elapsed() > PATIENCE {
            bail!("{} of {sent} spans are stored after {PATIENCE:?}", server.stored()?);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let used = CpuTime::of(&[server.process.pid()]) - before;
    table.add(case, subject, RATE, sent as f64 / used.seconds);
    table.add(case, subject, DISK, disk_bytes(directory.path())? / sent as f64);
    Ok((server, telemetry, directory))
}

fn lookups(
    table: &mut Table,
    (case, subject): (&str, &str),
    server: &Server,
    telemetry: &Telemetry,
) -> Result<()> {
    let mut times = Vec::new();
    for id in telemetry.marked.iter().cycle().step_by(7).take(LOOKUPS) {
        let begun = Instant::now();
        let answer = get(server.reads, &server.trace_path(*id))?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        if !answer.body.contains("run Click") {
            bail!("trace {id:032x} was not found whole: {}", answer.body);
        }
    }
    times.sort_by(f64::total_cmp);
    table.add(case, subject, LOOKUP_P50, times[times.len() / 2]);
    table.add(case, subject, LOOKUP_P99, times[times.len() * 99 / 100]);
    Ok(())
}

const SEARCHES: [(&str, &str); 6] = [
    ("search: newest", "limit=20"),
    ("search: operation", "operation=SELECT+links"),
    ("search: failed", "status=error&service=links"),
    ("search: slow, none found", "min_ms=5000"),
    ("search: attribute, rare", "attribute=url.path=/00abcd"),
    ("search: text, none found", "q=no+such+text"),
];

fn searches(table: &mut Table, server: &Server) -> Result<()> {
    let hour_ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() - 3600;
    for (name, query) in SEARCHES {
        let mut worst = 0.0_f64;
        for _ in 0..5 {
            let begun = Instant::now();
            let answer = get(server.reads, &format!("/api/traces?start={hour_ago}&{query}"))?;
            worst = worst.max(begun.elapsed().as_secs_f64() * 1e3);
            if answer.status != 200 {
                bail!("{query}: {}", answer.body);
            }
        }
        table.add(name, ONEFOLD, SEARCH, worst);
    }
    Ok(())
}
