//! What goes between nodes, over the last minute, by the metrics that they send.

mod flows;
#[cfg(test)]
mod tests;

use super::picture::{Edge, EdgeKind};
use flows::{Ends, Flow};
use onefold_observability::collect::Samples;
use onefold_observability::collect::promql::{Labels, Query, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From and to.
type Between = (String, String);

/// The questions, parsed once. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Edges(Arc<Inner>);

struct Inner {
    samples: Samples,
    questions: Vec<Question>,
}

/// What is asked about one flow.
struct Question {
    kind: EdgeKind,
    ends: Ends,
    rate: Query,
    share: Option<Query>,
    /// p50, p95, p99, in seconds.
    quantiles: Option<[Query; 3]>,
}

impl Edges {
    /// `observer` is what nodes call the collector that is this observer, where they have several.
    pub(super) fn new(samples: Samples, observer: Option<&str>) -> Self {
        let questions = flows::all(observer).iter().map(Question::of).collect();
        Self(Arc::new(Inner { samples, questions }))
    }

    /// The edges at this time; `primary` is whom the metrics do not name. What is idle is left out, but for
    /// replication, whose lag matters then too. Blocks while it computes.
    pub(super) fn measure(&self, primary: Option<&str>, at_ms: i64) -> Vec<Edge> {
        self.0.questions.iter().flat_map(|question| self.ask(question, primary, at_ms)).collect()
    }

    fn ask(&self, question: &Question, primary: Option<&str>, at_ms: i64) -> Vec<Edge> {
        let asked = |query: &Query| self.values(query, question.ends, primary, at_ms);
        let keeps_idle = question.kind == EdgeKind::Replication;
        let mut rates = asked(&question.rate);
        rates.retain(|_, rate| *rate > 0.0 || keeps_idle);
        if rates.is_empty() {
            return Vec::new();
        }
        let shares = question.share.as_ref().map(asked).unwrap_or_default();
        let quantiles = question.quantiles.as_ref().map(|queries| queries.each_ref().map(asked));
        let measured = rates.into_iter().map(|(between, rate)| {
            let quantile = |i: usize| {
                let seconds = quantiles.as_ref()?[i].get(&between).copied()?;
                seconds.is_finite().then(|| rounded(seconds * 1000.0))
            };
            let share = shares.get(&between).copied().filter(|share| !share.is_nan()).unwrap_or(0.0);
            let (p50_ms, p95_ms, p99_ms) = (quantile(0), quantile(1), quantile(2));
            let (from, to) = between;
            let (rate, error_rate) = (rounded(rate), rounded(share.clamp(0.0, 1.0)));
            let faults = Vec::new();
            Edge { from, to, kind: question.kind, rate, error_rate, p50_ms, p95_ms, p99_ms, faults }
        });
        measured.collect()
    }

    fn values(&self, query: &Query, ends: Ends, primary: Option<&str>, at_ms: i64) -> BTreeMap<Between, f64> {
        let value = match self.0.samples.evaluate(query, at_ms) {
            Ok(Value::Vector(elements)) => elements,
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::debug!(%error, "measure the edges");
                Vec::new()
            }
        };
        let named = value
            .into_iter()
            .filter_map(|element| Some((ends.of(&element.labels, primary)?, element.sample.value)));
        named.collect()
    }
}

impl Question {
    fn of(flow: &Flow) -> Self {
        let parse = |text: &String| Query::parse(text).expect("our own expressions are sound");
        Self {
            kind: flow.kind,
            ends: flow.ends,
            rate: parse(&flow.rate),
            share: flow.share.as_ref().map(parse),
            quantiles: flow.quantiles.as_ref().map(|texts| texts.each_ref().map(parse)),
        }
    }
}

impl Ends {
    fn of(self, labels: &Labels, primary: Option<&str>) -> Option<Between> {
        let label = |name| Some(labels.get(name).to_owned()).filter(|value| !value.is_empty());
        let between = match self {
            Self::ClientToNode => ("client".to_owned(), label("node")?),
            Self::NodeToEndpoint => (label("node")?, label("endpoint")?),
            Self::NodeToServer => (label("node")?, label("server")?),
            Self::NodeTo(place) => (label("node")?, place.to_owned()),
            Self::ToNodeFrom(place) => (place.to_owned(), label("node")?),
            Self::ToPrimaryFrom(place) => (place.to_owned(), primary?.to_owned()),
            Self::PrimaryToServer => (primary?.to_owned(), label("server")?),
        };
        (between.0 != between.1).then_some(between)
    }
}

/// Three decimals: what a person reads, and no more bytes.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
