//! What is known of all rules now, and how it is shown.

use super::message::time_text;
use super::rules::{Group, Kind};
use super::silence::{Silence, Silences};
use super::state::{Instance, State, Words};
use super::stored::{Stored, StoredRule};
use crate::collect::promql::Labels;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Board {
    pub(super) groups: Arc<[Group]>,
    /// By group, by rule.
    pub(super) states: Vec<Vec<RuleState>>,
    pub(super) silences: Silences,
    pub(super) notifications: Notifications,
}

#[derive(Debug, Default)]
pub(super) struct RuleState {
    pub(super) instances: Vec<Instance>,
    pub(super) error: Option<String>,
    pub(super) evaluated: Option<Evaluated>,
}

/// When a rule was evaluated last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evaluated {
    pub(super) at_ms: i64,
    pub(super) took: Duration,
}

/// How the receiver was reached, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Notifications {
    /// Whether there is a receiver.
    pub webhook: bool,
    /// Messages that it took.
    pub sent: u64,
    /// Messages that it did not take; they are tried again.
    pub failed: u64,
    /// Why the last one failed; none after one that was taken.
    pub last_error: Option<String>,
}

/// All alerts, as `/api/alerts` shows them.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Each alert that is not inactive, and each rule of which none is.
    pub alerts: Vec<Shown>,
    /// The rules' file, or `built in`.
    pub rules_from: String,
    /// How the receiver is reached.
    pub notifications: Notifications,
    /// All silences.
    pub silences: Vec<ShownSilence>,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// The rule's name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Where it stands.
    pub state: State,
    /// The label `severity`.
    pub severity: Option<String>,
    /// All labels.
    pub labels: Words,
    /// In words.
    pub annotations: Words,
    /// What the expression gave last; none if it is no number.
    pub value: Option<f64>,
    /// Since when it is in this state, in RFC 3339.
    pub since: Option<String>,
    /// Until when nobody is told, in RFC 3339.
    pub silenced_until: Option<String>,
    /// By which silence.
    pub silence_id: Option<String>,
    /// The rule's expression.
    pub expr: String,
    /// How long it must hold, in seconds.
    pub for_s: f64,
    /// Why the expression could not be evaluated.
    pub error: Option<String>,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownSilence {
    /// Its name.
    pub id: String,
    /// Labels that an alert must have.
    pub matchers: Words,
    /// Why.
    pub reason: String,
    /// In RFC 3339.
    pub until: String,
}

impl Board {
    pub(super) fn new(groups: Arc<[Group]>, stored: Stored, webhook: bool) -> Self {
        let Stored { rules: mut known, silences } = stored;
        let mut state = |group: &Group, rule: &super::rules::Rule| {
            let Kind::Alert(alert) = &rule.kind else { return RuleState::default() };
            let same = |stored: &StoredRule| {
                stored.group == group.name && stored.alert == alert.name && stored.expr == rule.query.text()
            };
            let found = known.iter().position(same).map(|at| known.swap_remove(at));
            let instances = found.map_or_else(Vec::new, |found| found.instances);
            RuleState { instances, ..RuleState::default() }
        };
        let states = groups.iter().map(|group| group.rules.iter().map(|rule| state(group, rule)).collect());
        let states = states.collect();
        let notifications = Notifications { webhook, ..Notifications::default() };
        Self { groups, states, silences: Silences::restored(silences), notifications }
    }

    pub(super) fn stored(&self) -> Stored {
        let mut rules = Vec::new();
        for (group, states) in self.groups.iter().zip(&self.states) {
            for (rule, state) in group.rules.iter().zip(states) {
                if let Kind::Alert(alert) = &rule.kind
                    && !state.instances.is_empty()
                {
                    rules.push(StoredRule {
                        group: group.name.clone(),
                        alert: alert.name.clone(),
                        expr: rule.query.text().to_owned(),
                        instances: state.instances.clone(),
                    });
                }
            }
        }
        Stored { rules, silences: self.silences.all().to_vec() }
    }

    pub(super) fn overview(&self, rules_from: &str, now_ms: i64) -> Overview {
        let mut alerts = Vec::new();
        for (group, states) in self.groups.iter().zip(&self.states) {
            for (rule, state) in group.rules.iter().zip(states) {
                let Kind::Alert(alert) = &rule.kind else { continue };
                let inactive = || {
                    // Of the labels, what needs no finding to be known.
                    let known = rule
                        .labels
                        .iter()
                        .map(|(n, text)| (n.clone(), text.expand(&Labels::empty(), f64::NAN)));
                    Shown {
                        name: alert.name.clone(),
                        group: group.name.clone(),
                        state: State::Inactive,
                        severity: None,
                        labels: known.collect(),
                        annotations: Words::new(),
                        value: None,
                        since: None,
                        silenced_until: None,
                        silence_id: None,
                        expr: rule.query.text().trim().to_owned(),
                        for_s: alert.hold.as_secs_f64(),
                        error: state.error.clone(),
                    }
                };
                if state.instances.is_empty() {
                    let idle = inactive();
                    let mut labels = idle.labels.clone();
                    labels.insert("alertname".to_owned(), alert.name.clone());
                    let silence = self.silences.of(&labels, now_ms);
                    alerts.push(with_severity(silenced(idle, silence)));
                }
                for instance in &state.instances {
                    let silence = self.silences.of(&instance.labels, now_ms);
                    alerts.push(with_severity(shown(inactive(), instance, silence)));
                }
            }
        }
        let silences =
            self.silences.all().iter().filter(|silence| silence.until_ms > now_ms).map(ShownSilence::of);
        Overview {
            alerts,
            rules_from: rules_from.to_owned(),
            notifications: self.notifications.clone(),
            silences: silences.collect(),
        }
    }
}

fn shown(base: Shown, instance: &Instance, silence: Option<&Silence>) -> Shown {
    let since_ms = match instance.state {
        State::Firing => instance.fired_ms,
        State::Resolved => instance.resolved_ms,
        State::Pending | State::Inactive => Some(instance.active_ms),
    };
    Shown {
        state: instance.state,
        labels: instance.labels.clone(),
        annotations: instance.annotations.clone(),
        value: instance.value.parse().ok().filter(|value: &f64| value.is_finite()),
        since: since_ms.map(time_text),
        ..silenced(base, silence)
    }
}

fn silenced(shown: Shown, silence: Option<&Silence>) -> Shown {
    Shown {
        silenced_until: silence.map(|silence| time_text(silence.until_ms)),
        silence_id: silence.map(|silence| silence.id.clone()),
        ..shown
    }
}

fn with_severity(shown: Shown) -> Shown {
    Shown { severity: shown.labels.get("severity").cloned(), ..shown }
}

impl ShownSilence {
    pub(super) fn of(silence: &Silence) -> Self {
        let Silence { id, matchers, reason, until_ms } = silence.clone();
        Self { id, matchers, reason, until: time_text(until_ms) }
    }
}
