//! What is asked, and whether both answer the same.

use super::subject::Subject;
use super::{P50, P99};
use crate::harness::{Table, encoded, get};
use crate::load::metrics::Span;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::time::Instant;

/// A question in `PromQL`.
pub(super) struct Question {
    pub(super) name: &'static str,
    expression: &'static str,
    when: When,
    times: usize,
}

#[derive(Clone, Copy)]
enum When {
    /// At the last sample's time.
    Now,
    /// Over the last hour, each minute.
    LastHour,
    /// Over the first hour, each minute.
    OldHour,
}

pub(super) const QUESTIONS: [Question; 7] = [
    Question {
        name: "one series, now",
        expression: r#"process_memory_usage_bytes{node="app-07"}"#,
        when: When::Now,
        times: 200,
    },
    Question { name: "20 series, now", expression: "onefold_queue_depth", when: When::Now, times: 200 },
    Question {
        name: "rate of 100 series, now",
        expression: "sum by (node) (rate(http_server_request_duration_seconds_count[5m]))",
        when: When::Now,
        times: 200,
    },
    Question {
        name: "one series, last hour",
        expression: r#"process_memory_usage_bytes{node="app-07"}"#,
        when: When::LastHour,
        times: 200,
    },
    Question {
        name: "one series, old hour",
        expression: r#"process_memory_usage_bytes{node="app-07"}"#,
        when: When::OldHour,
        times: 200,
    },
    Question {
        name: "rate of 100 series, last hour",
        expression: "sum by (node) (rate(http_server_request_duration_seconds_count[5m]))",
        when: When::LastHour,
        times: 50,
    },
    Question {
        name: "p99 of 1,400 series, last hour",
        expression: "histogram_quantile(0.99, sum by (le, http_route) \
                     (rate(http_server_request_duration_seconds_bucket[5m])))",
        when: When::LastHour,
        times: 20,
    },
];

impl Question {
    fn path(&self, span: Span) -> String {
        let query = encoded(self.expression);
        let (end, hour) = (span.end_ms / 1000, 3600);
        match self.when {
            When::Now => format!("/api/v1/query?query={query}&time={end}"),
            When::LastHour => {
                format!("/api/v1/query_range?query={query}&start={}&end={end}&step=60", end - hour)
            }
            When::OldHour => {
                // The first minutes have no rate yet.
                let start = span.begin_ms / 1000 + 600;
                format!("/api/v1/query_range?query={query}&start={start}&end={}&step=60", start + hour)
            }
        }
    }
}

/// What a server answered, by question.
pub(super) struct Answers(Vec<Value>);

/// Asks everything, and notes how long it took.
pub(super) fn ask(table: &mut Table, subject: &Subject, span: Span) -> Result<Answers> {
    let mut answers = Vec::new();
    for question in &QUESTIONS {
        let path = question.path(span);
        let mut times = Vec::with_capacity(question.times);
        let mut last = String::new();
        for _ in 0..question.times {
            let begun = Instant::now();
            let answer = get(subject.reads, &path)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            if answer.status != 200 {
                bail!("{}, {}: {}", subject.name, question.name, answer.body);
            }
            last = answer.body;
        }
        times.sort_by(f64::total_cmp);
        table.add(question.name, subject.name, P50, times[times.len() / 2]);
        table.add(question.name, subject.name, P99, times[times.len() * 99 / 100]);
        let mut answer: Value = serde_json::from_str(&last).context("read an answer")?;
        answers.push(in_order(answer["data"]["result"].take()));
    }
    Ok(Answers(answers))
}

impl Answers {
    /// # Errors
    /// Names the first question whose answers differ, or are empty.
    pub(super) fn must_equal(&self, others: &Self) -> Result<()> {
        for ((ours, theirs), question) in self.0.iter().zip(&others.0).zip(&QUESTIONS) {
            let empty = theirs.as_array().is_none_or(Vec::is_empty);
            if empty || !alike(ours, theirs) {
                bail!("{}:\n  ours   {ours:.500}\n  theirs {theirs:.500}", question.name);
            }
        }
        Ok(())
    }
}

/// By labels: the order of series is no part of an answer.
fn in_order(mut result: Value) -> Value {
    let labels = |series: &Value| {
        let metric = series["metric"].as_object().into_iter().flatten();
        let mut labels: Vec<String> = metric.map(|(name, value)| format!("{name}={value}")).collect();
        labels.sort();
        labels
    };
    if let Some(series) = result.as_array_mut() {
        series.sort_by_key(labels);
    }
    result
}

/// Equal, with numbers to nine digits: sums are rounded in another order.
fn alike(ours: &Value, theirs: &Value) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3);
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let same = |(name, value)| theirs.get(name).is_some_and(|other| alike(value, other));
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::String(ours), Value::String(theirs)) => {
            let numbers = ours.parse().ok().zip(theirs.parse().ok());
            ours == theirs || numbers.is_some_and(|(ours, theirs)| near(ours, theirs))
        }
        _ => ours == theirs,
    }
}
