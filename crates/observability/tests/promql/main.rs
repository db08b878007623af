//! Every expression of a table is answered as the real Prometheus answers it, from the same samples.
//!
//! Prometheus (Debian's package) is started over a directory of blocks that `promtool` makes of the samples.

#![expect(clippy::unwrap_used, reason = "tests may")]

mod notation;
mod peer;

use onefold_core::Clock;
use onefold_observability::collect::promql::{Error, Limits, Query, Range, Selected, Value};
use peer::Prometheus;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// When the samples begin. No time that is asked for lies on a sample or on a step of a subquery, so that it does not
/// matter that Prometheus counted the left edge of a window as inside until its version 3.
const BEGIN_MS: i64 = 1_700_000_003_500;

/// Two times of interest: while everything runs, and after one series has ended.
const TIMES_MS: [i64; 2] = [BEGIN_MS + 600_270, BEGIN_MS + 1_500_270];

const RANGE: Range = Range { start_ms: BEGIN_MS + 290_270, end_ms: BEGIN_MS + 1_790_270, step_ms: 37_000 };

#[tokio::test]
async fn every_expression_is_answered_as_prometheus_answers_it() {
    let series = notation::series(include_str!("samples.txt"), BEGIN_MS);
    let prometheus = Prometheus::start(&notation::openmetrics(&series)).await;
    let expressions: Vec<&str> = include_str!("expressions.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(expressions.len() > 200, "the table was not read whole");
    let mut differences = String::new();
    for expression in expressions {
        for at_ms in TIMES_MS {
            let ours = Query::parse(expression)
                .and_then(|query| query.at(&series, at_ms, Limits::default(), &Clock::system()));
            let theirs = prometheus.at(expression, at_ms).await;
            let ordered = ["sort", "topk", "bottomk"].iter().any(|function| expression.starts_with(function))
                && !expression.contains(" by ")
                && !expression.contains("without");
            compare(&mut differences, &format!("{expression} at {at_ms}"), &ours, &theirs, ordered);
        }
        let ours = Query::parse(expression)
            .and_then(|query| query.range(&series, RANGE, Limits::default(), &Clock::system()));
        let theirs = prometheus.range(expression, RANGE).await;
        compare(&mut differences, &format!("{expression} over the range"), &ours, &theirs, false);
    }
    assert!(differences.is_empty(), "{differences}");
}

fn compare(differences: &mut String, what: &str, ours: &Result<Value, Error>, theirs: &Json, ordered: bool) {
    let ours = match ours {
        Ok(value) => json!({"status": "success", "data": value}),
        Err(error) => json!({"status": "error", "error": error.to_string()}),
    };
    let same = ours["status"] == theirs["status"]
        && (ours["status"] == "error" || same_answer(&ours["data"], &theirs["data"], ordered));
    if !same {
        let _ = writeln!(differences, "{what}:\n  ours   {ours}\n  theirs {theirs}");
    }
}

fn same_answer(ours: &Json, theirs: &Json, ordered: bool) -> bool {
    let in_order = |answer: &Json| {
        let mut result = answer["result"].clone();
        if let (Some(series), false) = (result.as_array_mut(), ordered) {
            series.sort_by_key(|series| {
                // The order of a JSON object's members says nothing.
                let mut labels: Vec<String> = series["metric"]
                    .as_object()
                    .map(|metric| metric.iter().map(|(name, value)| format!("{name}={value}")).collect())
                    .unwrap_or_default();
                labels.sort();
                labels
            });
        }
        result
    };
    ours["resultType"] == theirs["resultType"] && alike(&in_order(ours), &in_order(theirs))
}

/// Equal, with numbers in texts equal to eleven digits: sums are rounded in another order.
fn alike(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, value)| theirs.get(name).is_some_and(|other| alike(value, other)))
        }
        (Json::Number(ours), Json::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Json::String(ours), Json::String(theirs)) => {
            ours == theirs
                || match (ours.parse::<f64>(), theirs.parse::<f64>()) {
                    (Ok(ours), Ok(theirs)) => {
                        (ours - theirs).abs() <= 1e-11 * ours.abs().max(theirs.abs()).max(1e-3)
                    }
                    _ => false,
                }
        }
        _ => ours == theirs,
    }
}

#[test]
fn the_end_of_a_series_is_seen_at_once() {
    use onefold_observability::collect::promql::{Labels, STALE, Sample};
    let at = |seconds: i64, value| Sample { at_ms: seconds * 1000, value };
    let gone = Selected {
        labels: Labels::new([("__name__", "up")]),
        samples: vec![at(100, 1.0), at(110, 1.0), at(120, STALE)],
    };
    let ask = |text: &str, seconds: i64| {
        let query = Query::parse(text).unwrap();
        query.at(&vec![gone.clone()], seconds * 1000, Limits::default(), &Clock::system()).unwrap()
    };
    assert!(matches!(ask("up", 119), Value::Vector(found) if found.len() == 1));
    assert!(matches!(ask("up", 120), Value::Vector(found) if found.is_empty()));
    assert!(
        matches!(ask("count_over_time(up[1m])", 125), Value::Vector(found) if found[0].sample.value.to_bits() == 2.0_f64.to_bits())
    );
}

#[test]
fn a_window_is_open_on_the_left() {
    use onefold_observability::collect::promql::{Labels, Sample};
    let samples = (0..5).map(|i| Sample { at_ms: i * 60_000, value: 1.0 }).collect();
    let series = vec![Selected { labels: Labels::new([("__name__", "x")]), samples }];
    let ask = |text: &str, at_ms| {
        Query::parse(text).unwrap().at(&series, at_ms, Limits::default(), &Clock::system()).unwrap()
    };
    let counted = |value: Value| match value {
        Value::Vector(found) => found.first().map(|element| element.sample.value),
        _ => None,
    };
    assert_eq!(counted(ask("count_over_time(x[2m])", 240_000)), Some(2.0));
    assert_eq!(counted(ask("x", 540_000)), None, "the lookback is open too");
    assert_eq!(counted(ask("x", 539_999)), Some(1.0));
}

#[test]
fn a_query_stays_within_its_bounds() {
    use onefold_observability::collect::promql::{Labels, Sample};
    let samples = (0..1000).map(|i| Sample { at_ms: i * 1000, value: 1.0 }).collect();
    let series = vec![Selected { labels: Labels::new([("__name__", "x")]), samples }];
    let clock = Clock::system();
    let limits = Limits { samples_max: 500, ..Limits::default() };
    let refused = |text: &str, limits, range: Range| {
        Query::parse(text).unwrap().range(&series, range, limits, &clock).unwrap_err()
    };
    let minute = Range { start_ms: 900_000, end_ms: 960_000, step_ms: 10_000 };
    assert!(matches!(refused("rate(x[10m])", limits, minute), Error::TooLarge(_)));
    assert!(matches!(refused("x[900y:1ms]", Limits::default(), minute), Error::Invalid { .. }));
    assert!(matches!(refused("rate(x[900y:1ms])", Limits::default(), minute), Error::TooLarge(_)));
    let fine = Range { start_ms: 0, end_ms: 12_000_000, step_ms: 1000 };
    assert!(matches!(refused("x", Limits::default(), fine), Error::TooLarge(_)));
    let narrow = Limits { points_max: 3, ..Limits::default() };
    assert!(matches!(refused("x", narrow, minute), Error::TooLarge(_)));
    let none = Limits { timeout: std::time::Duration::ZERO, ..Limits::default() };
    assert!(matches!(refused("x", none, minute), Error::Timeout(_)));
}
