//! What telemetry costs a request: of the example, through the system, and of a handler that does nothing else.

mod handler;
mod system;

use crate::harness::{Goal, Outcome, Settings, Table};
use anyhow::Result;

const QUESTION: &str = "What do spans cost `GET /{code}`, against none at all?";
const CPU: &str = "CPU µs/request";
const RATE: &str = "requests/s";

/// How much of the requests is recorded.
struct Subject {
    name: &'static str,
    /// The share that is recorded in full; `None`: there is no telemetry.
    sample: Option<&'static str>,
    /// What the request may cost through the system, by that without telemetry.
    goal: Option<f64>,
}

const SUBJECTS: [Subject; 4] = [
    Subject { name: "no telemetry", sample: None, goal: None },
    Subject { name: "ring, none sampled", sample: Some("0.0"), goal: Some(1.02) },
    Subject { name: "one in ten sampled", sample: Some("0.1"), goal: Some(1.03) },
    Subject { name: "all sampled", sample: Some("1.0"), goal: Some(1.10) },
];

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let mut table = Table::new()?;
    system::measure(settings, &mut table).await?;
    handler::measure(settings, &mut table)?;
    let off = SUBJECTS[0].name;
    for Subject { name, goal, .. } in &SUBJECTS[1..] {
        table.compare((system::CASE, CPU), name, off, goal.map(Goal::AtMost))?;
        table.compare((handler::CASE, CPU), name, off, None)?;
    }
    let notes = [
        "Through the system: `links up` as in the benchmark `system`, everything but wrk on one core, and each round starts \
         it anew on the same state for each subject. CPU is that of the balancer and the app nodes while wrk runs, their \
         work in the background included, with encoding and sending to the observer.",
        "No telemetry there: `[telemetry] otlp = \"\"` and `log = \"off\"`, where no span is recorded and nothing sent. The \
         others: `log = \"warn\"`, of which no request writes a line either, and `sample` as they are called.",
        "A handler alone: an axum handler that redirects from an in-process cache, in one thread, with three spans of an app \
         node and their 21 attributes; wrk has the same core, so that no answer has to wake it on another, and a collector \
         that stores what it is sent has the other. CPU is the handler's alone. It has no goal: there is no database, no \
         session, no deadline and no job beside the spans. No telemetry there: the same program without a subscriber.",
        "The ring of a node holds 4 MiB.",
    ];
    Ok(table.outcome(settings, ("telemetry", QUESTION), &notes, vec!["axum 0.8".to_owned()]))
}
