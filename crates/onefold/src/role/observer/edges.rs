//! What goes between nodes, over the last minute, by the metrics that they send.

mod flows;

use super::picture::{Edge, EdgeKind};
use flows::{Ends, FLOWS, Flow};
use onefold_observability::collect::Samples;
use onefold_observability::collect::promql::{Labels, Query, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From, to, kind.
type Between = (String, String, EdgeKind);

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
    errors: Option<Query>,
    /// p50, p95, p99, in seconds.
    quantiles: Option<[Query; 3]>,
}

/// The nodes that the metrics do not name.
pub(super) struct Anchors {
    /// The balancer, where there is just one: its app nodes do not say who asks.
    pub(super) balancer: Option<String>,
    pub(super) primary: Option<String>,
}

impl Edges {
    pub(super) fn new(samples: Samples) -> Self {
        Self(Arc::new(Inner { samples, questions: FLOWS.iter().map(Question::of).collect() }))
    }

    /// The edges at this time, busy ones only. Blocks while it computes.
    pub(super) fn measure(&self, anchors: &Anchors, at_ms: i64) -> Vec<Edge> {
        let mut edges = BTreeMap::new();
        for question in &self.0.questions {
            for (between, edge) in self.ask(question, anchors, at_ms) {
                edges.entry(between).and_modify(|known: &mut Edge| known.join(&edge)).or_insert(edge);
            }
        }
        edges.into_values().collect()
    }

    fn ask(&self, question: &Question, anchors: &Anchors, at_ms: i64) -> BTreeMap<Between, Edge> {
        let asked = |query: &Query| self.values(query, question, anchors, at_ms);
        let rates = asked(&question.rate);
        let errors = question.errors.as_ref().map(asked).unwrap_or_default();
        let quantiles = question.quantiles.as_ref().map(|queries| queries.each_ref().map(asked));
        let measured = rates.into_iter().filter(|(_, rate)| *rate > 0.0).map(|(between, rate)| {
            let quantile = |i: usize| {
                let seconds = quantiles.as_ref()?[i].get(&between).copied()?;
                seconds.is_finite().then(|| rounded(seconds * 1000.0))
            };
            let (from, to, kind) = between.clone();
            let error_rate =
                errors.get(&between).map_or(0.0, |errors| rounded((errors / rate).clamp(0.0, 1.0)));
            let (p50_ms, p95_ms, p99_ms) = (quantile(0), quantile(1), quantile(2));
            (between, Edge { from, to, kind, rate: rounded(rate), error_rate, p50_ms, p95_ms, p99_ms })
        });
        measured.collect()
    }

    fn values(
        &self,
        query: &Query,
        question: &Question,
        anchors: &Anchors,
        at_ms: i64,
    ) -> BTreeMap<Between, f64> {
        let value = match self.0.samples.evaluate(query, at_ms) {
            Ok(Value::Vector(elements)) => elements,
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::debug!(%error, "measure the edges");
                Vec::new()
            }
        };
        let named = value.into_iter().filter_map(|element| {
            let (from, to) = question.ends.of(&element.labels, anchors)?;
            Some(((from, to, question.kind), element.sample.value))
        });
        named.collect()
    }
}

impl Question {
    fn of(flow: &Flow) -> Self {
        let parse = |text: String| Query::parse(&text).expect("our own expressions are sound");
        let by = flow.by;
        let rate = |series: &str| format!("sum by ({by}) (rate({series}[1m]))");
        let quantile = |metric: &str, q: f64| {
            format!("histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket[1m])))")
        };
        Self {
            kind: flow.kind,
            ends: flow.ends,
            rate: parse(rate(flow.count)),
            errors: flow.errors.map(|errors| parse(rate(errors))),
            quantiles: flow.latency.map(|metric| [0.5, 0.95, 0.99].map(|q| parse(quantile(metric, q)))),
        }
    }
}

impl Ends {
    fn of(self, labels: &Labels, anchors: &Anchors) -> Option<(String, String)> {
        let node = Some(labels.get("node").to_owned()).filter(|node| !node.is_empty())?;
        match self {
            Self::BalancerToNode => Some((anchors.balancer.clone()?, node)),
            Self::NodeToServer => Some((node, labels.get("server").to_owned())),
            Self::NodeToPrimary => Some((node, anchors.primary.clone()?)),
            Self::PrimaryToNode => Some((anchors.primary.clone()?, node)),
        }
    }
}

impl Edge {
    /// Adds what goes the same way. Of two latencies the longer one counts: it is what somebody waits for.
    fn join(&mut self, other: &Self) {
        let rate = self.rate + other.rate;
        let errors = self.error_rate * self.rate + other.error_rate * other.rate;
        let longer = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::max);
        self.error_rate = rounded(errors / rate);
        self.rate = rounded(rate);
        self.p50_ms = longer(self.p50_ms, other.p50_ms);
        self.p95_ms = longer(self.p95_ms, other.p95_ms);
        self.p99_ms = longer(self.p99_ms, other.p99_ms);
    }
}

/// Three decimals: what a person reads, and no more bytes.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_an_expression() {
        assert_eq!(FLOWS.iter().map(Question::of).count(), FLOWS.len());
    }

    #[test]
    fn what_goes_the_same_way_is_one_edge() {
        let edge = |rate, error_rate, p95_ms| Edge {
            from: "app-a".to_owned(),
            to: "postgres-1".to_owned(),
            kind: EdgeKind::Sql,
            rate,
            error_rate,
            p50_ms: None,
            p95_ms,
            p99_ms: None,
        };
        let mut joined = edge(3.0, 0.0, Some(2.0));
        joined.join(&edge(1.0, 1.0, Some(5.0)));
        assert_eq!(joined, edge(4.0, 0.25, Some(5.0)));
        joined.join(&edge(4.0, 0.25, None));
        assert_eq!(joined, edge(8.0, 0.25, Some(5.0)));
    }
}
