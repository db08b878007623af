//! How much the observer's store of samples takes, how fast, and how fast it answers `PromQL`.

mod questions;
mod subject;

use crate::harness::{CpuTime, Goal, LOAD_CORE, Outcome, Settings, Table, pin, resident_bytes, settle};
use crate::load::metrics::{Fleet, SERIES, Span};
use crate::load::sender::Sender;
use crate::peer::Prometheus;
use anyhow::Result;
use questions::{Answers, QUESTIONS, ask};
use subject::{ONEFOLD, PROMETHEUS, Subject};

const QUESTION: &str = "What does a sample cost the observer in CPU time and on disk, and how fast are questions in PromQL \
                        answered, against Prometheus with the same samples?";
const INGEST: &str = "ingest";
const CPU: &str = "CPU µs/sample";
const DISK: &str = "bytes/sample on disk";
const MEMORY: &str = "MiB, RSS";
const P50: &str = "ms, p50";
const P99: &str = "ms, p99";
/// Enough for Prometheus to write a block, of two hours, and for us to write a segment.
const HOURS: i64 = 4;
const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn run(settings: &Settings) -> Result<Outcome> {
    let mut table = Table::new()?;
    pin(LOAD_CORE, &[std::process::id()])?;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        let span = Span::of_hours(HOURS)?;
        let theirs = measure(&mut table, settings, PROMETHEUS, span)?;
        let ours = measure(&mut table, settings, ONEFOLD, span)?;
        ours.must_equal(&theirs)?;
    }
    judge(&mut table)?;
    let notes = [
        "20 nodes with 100 series each (5 histograms of 14 buckets, 15 counters, 5 gauges), a point of each every 5 s for 4 \
         hours that end now: 5.8 million samples by seed, sent as fast as they are taken, in requests of 500 samples over \
         one connection of HTTP/1.1.",
        "Ours takes OTLP in protobuf, unpacked: a histogram is one data point, and a node's labels stand once in a request. \
         Prometheus 2.42 has no OTLP; it takes the same samples by remote write, each with all its labels, in snappy frames \
         of literals, so that unpacking is a copy. Labels and times are the same in both.",
        "CPU time of the whole server process, pinned to one core, from the first request until it is at rest: logs, \
         Prometheus' block of two hours and our segment included. Ours evaluates its built-in alerts meanwhile.",
        "On disk: what lies in blocks or segments, for each sample in them; the logs of what is in memory are left out in both.",
        "Questions over HTTP, a connection each, one after the other; both answers are compared and must be equal to nine \
         digits. The hour and the moment asked for are the last ones; 'old hour' is the first.",
    ];
    Ok(table.outcome(settings, ("samples", QUESTION), &notes, vec![Prometheus::version()]))
}

fn judge(table: &mut Table) -> Result<()> {
    table.compare((INGEST, CPU), ONEFOLD, PROMETHEUS, Some(Goal::AtMost(1.0)))?;
    table.compare((INGEST, DISK), ONEFOLD, PROMETHEUS, Some(Goal::AtMost(1.25)))?;
    table.compare((INGEST, MEMORY), ONEFOLD, PROMETHEUS, Some(Goal::AtMost(1.0)))?;
    for question in QUESTIONS {
        table.compare((question.name, P50), ONEFOLD, PROMETHEUS, Some(Goal::AtMost(1.0)))?;
        table.compare((question.name, P99), ONEFOLD, PROMETHEUS, None)?;
    }
    Ok(())
}

/// Fills a server, asks it, and gives its answers.
fn measure(table: &mut Table, settings: &Settings, name: &'static str, span: Span) -> Result<Answers> {
    let subject = Subject::start(name)?;
    let pid = subject.pid();
    let mut fleet = Fleet::new(settings.seed, span.begin_ms);
    let mut sender = Sender::new(subject.ingest, subject.target())?;
    let before = CpuTime::of(&[pid]);
    for _ in 0..span.rounds() {
        if name == ONEFOLD {
            fleet.otlp().try_for_each(|request| sender.send(&request))?;
        } else {
            fleet.remote_write().try_for_each(|request| sender.send(&request))?;
        }
        fleet.advance();
    }
    settle(pid)?;
    let used = CpuTime::of(&[pid]) - before;
    let samples = (span.rounds() * SERIES) as f64;
    table.add(INGEST, name, CPU, used.seconds * 1e6 / samples);
    table.add(INGEST, name, DISK, subject.disk_bytes()?);
    let answers = ask(table, &subject, span)?;
    table.add(INGEST, name, MEMORY, resident_bytes(&[pid]) / MIB);
    Ok(answers)
}
