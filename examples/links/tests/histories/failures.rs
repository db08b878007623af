//! Each component of the picture, killed, stopped, slowed down and cut off, one after the other, under a load: what
//! clients see of it, against what is promised. `make failures` writes `docs/failures.md` from a run.

mod case;
mod page;
mod probe;

use crate::Tokens;
use crate::load::Load;
use crate::recovery::serves_again;
use case::{CASES, Case, What};
use nix::sys::signal::Signal;
use onefold::testing::{ProcessStatus, TestSystem, eventually, signal_all};
use onefold_lab::Verdict;
use page::{Row, Run};
use probe::Probes;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const SOON: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_befalls_a_component_costs_what_the_page_says() {
    let held = Duration::from_secs(crate::number("ONEFOLD_HOLD", 2));
    let system = TestSystem::start_breakable(env!("CARGO_BIN_EXE_links"), "").await;
    let load = Load::start(&system, crate::number("ONEFOLD_SEED", 7), Tokens::Sent);
    // A busy machine keeps everybody waiting; the page is written on a quiet one.
    let (page, only) = (text("ONEFOLD_PAGE"), text("ONEFOLD_COMPONENT"));
    let patience = Duration::from_secs(if page.is_some() { 3 } else { 20 });
    let probes = Probes::start(&system, patience).await;
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| case.component == only)) {
        for &what in if page.is_some() || only.is_some() { What::ALL } else { case.always } {
            let Some(row) = befalls(&system, &probes, case, what, held).await else { continue };
            eprintln!("{} {what}: {:?}{}", case.component, row.seen, probes.whys());
            rows.push(row);
        }
    }
    probes.stop().await;
    let found = load.stop(&system).await;
    let run = Run { engines: engines(), held, rows, summary: found.summary(), verdicts: found.verdicts() };
    eprintln!("{}", run.summary);
    // Whatever it says.
    if let Some(page) = page {
        run.write_into(page.as_ref());
    }
    for (name, verdict) in &run.verdicts {
        assert!(matches!(verdict, Verdict::Held { checked } if *checked > 0), "{name}: {verdict}");
    }
    for Row { case, what, seen } in &run.rows {
        for asked in case.unharmed {
            assert_eq!(seen[asked].failed, 0, "{} {what}: {asked:?} {:?}", case.component, seen[asked]);
        }
    }
}

/// None where the system has no such component.
#[expect(clippy::disallowed_methods, reason = "real processes take real time")]
async fn befalls(
    system: &TestSystem,
    probes: &Probes,
    case: &'static Case,
    what: What,
    held: Duration,
) -> Option<Row> {
    let victims: Vec<ProcessStatus> = system.nodes().into_iter().filter(case.is).take(case.count).collect();
    let lacks_edges = || victims.iter().any(|victim| !has_edges(system, victim));
    // What the one engine costs stands in its own table.
    let is_of_another_table = text("ONEFOLD_TEST_ENGINES").is_some() && victims.iter().any(is_everywhere);
    if victims.is_empty()
        || is_of_another_table
        || (matches!(what, What::Slow | What::CutOff) && lacks_edges())
    {
        return None;
    }
    let from = Instant::now();
    match what {
        What::Dies => signal_all(&victims, Signal::SIGKILL),
        What::Hangs => {
            signal_all(&victims, Signal::SIGSTOP);
            sleep(held).await;
            signal_all(&victims, Signal::SIGCONT);
        }
        What::Slow | What::CutOff => {
            for victim in &victims {
                let name = victim.name.as_str();
                match what {
                    What::Slow => system.run(&["chaos", "latency", name, "100ms"]),
                    _ => system.run(&["chaos", "partition", name]),
                };
            }
            sleep(held).await;
            system.run(&["chaos", "heal"]);
        }
    }
    let killed = if what == What::Dies { victims.as_slice() } else { &[] };
    serves_again(system, killed, SOON).await;
    eventually(SOON, "every kind of request is answered again", async || probes.are_served().await).await;
    Some(Row { case, what, seen: probes.seen(from, Instant::now()).await })
}

/// Whether a system has it on whichever engines.
fn is_everywhere(process: &ProcessStatus) -> bool {
    process.admin.is_some() || process.name.as_str().starts_with("postgres-")
}

/// Whether a proxy stands between it and others.
fn has_edges(system: &TestSystem, process: &ProcessStatus) -> bool {
    let listed: Value = serde_json::from_str(&system.run(&["chaos", "list", "--json"])).unwrap();
    let edges = listed["edges"].to_string();
    edges.contains(&format!("\"{}\"", process.name)) || edges.contains(&format!("{}:", process.name))
}

/// As the page calls what this run runs on.
fn engines() -> String {
    text("ONEFOLD_TEST_ENGINES").unwrap_or_else(|| "postgres".to_owned())
}

fn text(name: &str) -> Option<String> {
    crate::variable(name).filter(|text| !text.is_empty())
}
