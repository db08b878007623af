//! The observer: whether it answers, and whether what it keeps is within its bounds.

use super::super::observer::Observer;
use super::finding::Finding;
use http::Method;
use serde::Deserialize;
use std::path::Path;

const MEBIBYTE: u64 = 1 << 20;

#[derive(Deserialize)]
struct Signal {
    #[serde(rename = "signal")]
    name: String,
    bytes: u64,
    bytes_max: u64,
    oldest: Option<String>,
    dropped: u64,
}

pub(super) async fn check(state: &Path) -> Vec<Finding> {
    let kept = async {
        let mut answer = Observer::of(state)?.ask(Method::GET, "/api/retention").await?;
        serde_json::from_value::<Vec<Signal>>(answer["signals"].take())
            .map_err(|error| super::Failure::Failed(format!("its answer is of another build: {error}")))
    };
    match kept.await {
        Ok(signals) => signals.iter().map(of).collect(),
        Err(failure) => vec![Finding::Wrong {
            problem: format!("the observer does not answer: {}", failure.reason()),
            fix: "look at its log; the nodes work on, and what they tell meanwhile is lost".to_owned(),
        }],
    }
}

fn of(signal: &Signal) -> Finding {
    let Signal { name, bytes, bytes_max, oldest, dropped } = signal;
    let since = oldest.as_deref().map_or_else(String::new, |oldest| format!(", since {oldest}"));
    let (used, bound) = (bytes / MEBIBYTE, bytes_max / MEBIBYTE);
    let what =
        format!("the observer keeps {name} in {used} of {bound} MiB{since}, and has dropped {dropped}");
    let fix = "it takes more than it can write: lower telemetry.sample, or give it a faster disk";
    Finding::of(*dropped == 0, what, fix)
}
