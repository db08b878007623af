//! Evaluates rules: each group at its interval, one after the other, never twice at once.

use super::Inner;
use super::board::Evaluated;
use super::rules::{Alert, Kind, Rule};
use super::state::{Finding, INSTANCES_MAX, Words, advance};
use crate::collect::promql::{Element, METRIC_NAME, Value, format_value};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Runs until `stopping`.
pub(super) async fn run(alerts: Arc<Inner>, stopping: CancellationToken) {
    let start = alerts.clock.now();
    let mut due: Vec<Instant> = alerts.groups.iter().map(|_| start).collect();
    loop {
        for (at, due) in due.iter_mut().enumerate() {
            if *due > alerts.clock.now() || stopping.is_cancelled() {
                continue;
            }
            let inner = Arc::clone(&alerts);
            // Its queries block.
            let _ = tokio::task::spawn_blocking(move || inner.evaluate(at)).await;
            // Counted from now: a group that takes longer than its interval does not pile up.
            *due = (*due + alerts.groups[at].interval).max(alerts.clock.now());
        }
        let next = due
            .iter()
            .min()
            .map_or(Duration::from_mins(1), |next| next.saturating_duration_since(alerts.clock.now()));
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = stopping.cancelled() => return,
        }
    }
}

impl Inner {
    /// Evaluates a group's rules as of now. Blocks.
    pub(super) fn evaluate(&self, group: usize) {
        let now_ms = self.now_ms();
        let mut changed = false;
        for (at, rule) in self.groups[group].rules.iter().enumerate() {
            let begun = self.clock.now();
            let outcome = self.evaluate_rule(rule, now_ms);
            let took = self.clock.now().saturating_duration_since(begun);
            let mut board = self.board();
            let state = &mut board.states[group][at];
            state.evaluated = Some(Evaluated { at_ms: now_ms, took });
            match (outcome, &rule.kind) {
                (Ok(findings), Kind::Alert(alert)) => {
                    state.error = None;
                    changed |= advance(&mut state.instances, alert, findings, now_ms);
                }
                (Ok(_), Kind::Record(_)) => state.error = None,
                (Err(error), _) => {
                    if state.error.as_ref() != Some(&error) {
                        let expr = rule.query.text();
                        tracing::warn!(rule = rule.name(), expr, error, "a rule cannot be evaluated");
                        state.error = Some(error);
                        changed = true;
                    }
                }
            }
        }
        if changed {
            self.changed();
            self.save();
        }
    }

    fn evaluate_rule(&self, rule: &Rule, now_ms: i64) -> Result<Vec<Finding>, String> {
        let value = self.samples.evaluate(&rule.query, now_ms).map_err(|error| error.to_string())?;
        let elements = match value {
            Value::Vector(elements) => elements,
            Value::Scalar(sample) => {
                vec![Element { labels: crate::collect::promql::Labels::empty(), sample }]
            }
            Value::Text(..) | Value::Matrix(_) => {
                return Err("the expression gives no instant vector".to_owned());
            }
        };
        match &rule.kind {
            Kind::Alert(alert) => findings(rule, alert, &elements),
            Kind::Record(name) => {
                for Element { labels, sample } in elements {
                    let own = rule
                        .labels
                        .iter()
                        .map(|(name, text)| (name.clone(), text.expand(&labels, sample.value)));
                    let labels = own.fold(labels.clone(), |labels, (name, value)| labels.with(&name, &value));
                    self.samples.record(&labels.with(METRIC_NAME, name), now_ms, sample.value)?;
                }
                Ok(Vec::new())
            }
        }
    }
}

fn findings(rule: &Rule, alert: &Alert, elements: &[Element]) -> Result<Vec<Finding>, String> {
    if elements.len() > INSTANCES_MAX {
        let found = elements.len();
        return Err(format!(
            "the expression finds {found} alerts, and may find {INSTANCES_MAX}: aggregate it"
        ));
    }
    let mut seen = HashSet::new();
    let mut found = Vec::with_capacity(elements.len());
    for Element { labels: of, sample } in elements {
        let expanded = |texts: &[(String, super::template::Template)]| -> Words {
            texts.iter().map(|(name, text)| (name.clone(), text.expand(of, sample.value))).collect()
        };
        let mut labels: Words =
            of.without_name().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        labels.extend(expanded(&rule.labels));
        labels.insert("alertname".to_owned(), alert.name.clone());
        labels.retain(|_, value| !value.is_empty());
        if !seen.insert(labels.clone()) {
            return Err("two of the alerts that the expression finds have the same labels".to_owned());
        }
        let annotations = expanded(&alert.annotations);
        found.push(Finding { labels, annotations, value: format_value(sample.value) });
    }
    Ok(found)
}
