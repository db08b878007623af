//! Rules and alerts as Prometheus lists them: the same words for the same things, so that its clients read ours.

use super::board::{Board, RuleState};
use super::message::time_text;
use super::rules::{Alert, Group, Kind, Rule};
use super::state::{Instance, State, Words};
use super::template::Template;
use serde::Serialize;
use std::time::Duration;

/// What Prometheus says of a time that has not come: Go's zero.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A group of rules.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedGroup {
    pub(crate) name: String,
    pub(crate) file: String,
    /// In seconds.
    interval: f64,
    /// None.
    limit: u64,
    pub(crate) rules: Vec<ListedRule>,
    #[serde(flatten)]
    evaluation: Evaluation,
}

/// A rule of either kind.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum ListedRule {
    Alerting(Alerting),
    Recording(Recording),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alerting {
    state: State,
    /// In seconds.
    duration: f64,
    /// In seconds.
    keep_firing_for: f64,
    annotations: Words,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alerts: Option<Vec<ListedAlert>>,
    #[serde(flatten)]
    rule: Common,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Recording {
    #[serde(flatten)]
    rule: Common,
}

/// What rules of both kinds show.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Common {
    name: String,
    query: String,
    labels: Words,
    /// `ok`, `err` or `unknown`.
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(flatten)]
    evaluation: Evaluation,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Evaluation {
    /// In seconds.
    evaluation_time: f64,
    last_evaluation: String,
}

/// An alert that is pending or fires.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedAlert {
    labels: Words,
    annotations: Words,
    state: State,
    active_at: String,
    value: String,
}

impl ListedRule {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Alerting(Alerting { rule, .. }) | Self::Recording(Recording { rule }) => &rule.name,
        }
    }
}

impl Board {
    /// All groups, those of `file`.
    pub(super) fn listed(&self, file: &str) -> Vec<ListedGroup> {
        self.groups.iter().zip(&self.states).map(|(group, states)| listed(group, states, file)).collect()
    }

    /// All alerts that are pending or fire.
    pub(super) fn active(&self) -> Vec<ListedAlert> {
        self.states.iter().flatten().flat_map(alerts).collect()
    }
}

fn listed(group: &Group, states: &[RuleState], file: &str) -> ListedGroup {
    let evaluated = states.iter().map(|state| state.evaluated);
    // As of the first rule, and as long as all of them took.
    let at_ms = evaluated.clone().next().flatten().map(|first| first.at_ms);
    let took = evaluated.flatten().map(|each| each.took).sum();
    ListedGroup {
        name: group.name.clone(),
        file: file.to_owned(),
        interval: group.interval.as_secs_f64(),
        limit: 0,
        rules: group.rules.iter().zip(states).map(|(rule, state)| listed_rule(rule, state)).collect(),
        evaluation: Evaluation::of(at_ms, took),
    }
}

fn listed_rule(rule: &Rule, state: &RuleState) -> ListedRule {
    let health = match (&state.error, state.evaluated) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let took = state.evaluated.map_or(Duration::ZERO, |evaluated| evaluated.took);
    let common = Common {
        name: rule.name().to_owned(),
        query: rule.query.text().trim().to_owned(),
        labels: sources(&rule.labels),
        health,
        last_error: state.error.clone(),
        evaluation: Evaluation::of(state.evaluated.map(|evaluated| evaluated.at_ms), took),
    };
    match &rule.kind {
        Kind::Alert(alert) => ListedRule::Alerting(alerting(common, alert, state)),
        Kind::Record(_) => ListedRule::Recording(Recording { rule: common }),
    }
}

fn alerting(rule: Common, alert: &Alert, state: &RuleState) -> Alerting {
    let any = |wanted| state.instances.iter().any(|instance| instance.state == wanted);
    Alerting {
        state: [State::Firing, State::Pending]
            .into_iter()
            .find(|state| any(*state))
            .unwrap_or(State::Inactive),
        duration: alert.hold.as_secs_f64(),
        keep_firing_for: alert.keep_firing.as_secs_f64(),
        annotations: sources(&alert.annotations),
        alerts: Some(alerts(state).collect()),
        rule,
    }
}

/// What has resolved is an alert to us for a while, and none to Prometheus.
fn alerts(state: &RuleState) -> impl Iterator<Item = ListedAlert> {
    let is_active = |instance: &&Instance| matches!(instance.state, State::Pending | State::Firing);
    state.instances.iter().filter(is_active).map(|instance| ListedAlert {
        labels: instance.labels.clone(),
        annotations: instance.annotations.clone(),
        state: instance.state,
        active_at: time_text(instance.active_ms),
        value: scientific(&instance.value),
    })
}

fn sources(templates: &[(String, Template)]) -> Words {
    templates.iter().map(|(name, text)| (name.clone(), text.source().to_owned())).collect()
}

/// `1e+00`, as Go prints it; infinities and what is no number stay as they are.
fn scientific(value: &str) -> String {
    let Some(number) = value.parse::<f64>().ok().filter(|number| number.is_finite()) else {
        return value.to_owned();
    };
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

impl Evaluation {
    fn of(at_ms: Option<i64>, took: Duration) -> Self {
        let last_evaluation = at_ms.map_or_else(|| NEVER.to_owned(), time_text);
        Self { evaluation_time: took.as_secs_f64(), last_evaluation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_go_prints_them() {
        let cases = [
            ("1", "1e+00"),
            ("9.5", "9.5e+00"),
            ("1234", "1.234e+03"),
            ("-0.0025", "-2.5e-03"),
            ("0", "0e+00"),
        ];
        for (value, printed) in cases {
            assert_eq!(scientific(value), printed);
        }
        assert_eq!((scientific("+Inf"), scientific("NaN")), ("+Inf".to_owned(), "NaN".to_owned()));
    }
}
