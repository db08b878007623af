//! The states of an alert, and how they follow from what its expression finds: pure, told the time.

use super::rules::Alert;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Labels or annotations.
pub(super) type Words = BTreeMap<String, String>;

/// Alerts of one rule at once; more is a rule that selects too much.
pub(super) const INSTANCES_MAX: usize = 1000;
/// How long a resolved alert is shown.
const RESOLVED_SHOWN_MS: i64 = 15 * 60_000;
/// How long it is kept at most while its receiver cannot be told.
const RESOLVED_KEPT_MS: i64 = 24 * 3_600_000;
/// While an alert fires, its receiver is told again after this.
const REPEAT_MS: i64 = 4 * 3_600_000;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its expression finds nothing.
    Inactive,
    /// It holds, not yet for long enough.
    Pending,
    /// It holds.
    Firing,
    /// It held until a short while ago.
    Resolved,
}

/// One alert: a rule's finding with its labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) labels: Words,
    pub(super) annotations: Words,
    /// As a text, since JSON has no infinity.
    pub(super) value: String,
    pub(super) state: State,
    /// Since when it holds.
    pub(super) active_ms: i64,
    pub(super) fired_ms: Option<i64>,
    pub(super) resolved_ms: Option<i64>,
    /// Since when it is not found, while `keep_firing_for` runs.
    missed_ms: Option<i64>,
    told: Option<Told>,
}

/// What the receiver knows of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    state: State,
    at_ms: i64,
}

/// What an expression found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) labels: Words,
    pub(super) annotations: Words,
    pub(super) value: String,
}

impl Instance {
    fn new(finding: Finding, now_ms: i64) -> Self {
        let Finding { labels, annotations, value } = finding;
        Self {
            labels,
            annotations,
            value,
            state: State::Pending,
            active_ms: now_ms,
            fired_ms: None,
            resolved_ms: None,
            missed_ms: None,
            told: None,
        }
    }

    /// What a test of the receiver shows.
    pub(super) fn test(now_ms: i64) -> Self {
        let words = |pairs: &[(&str, &str)]| -> Words {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let labels = words(&[("alertname", "TestNotification"), ("severity", "none")]);
        let annotations = words(&[("summary", "This is a test: notifications arrive")]);
        let finding = Finding { labels, annotations, value: "1".to_owned() };
        Self { state: State::Firing, fired_ms: Some(now_ms), ..Self::new(finding, now_ms) }
    }

    /// Whether the receiver should hear of it.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        match (self.state, self.told) {
            (State::Firing, Some(told)) => told.state != State::Firing || now_ms - told.at_ms >= REPEAT_MS,
            (State::Firing, None) => true,
            (State::Resolved, Some(told)) => told.state == State::Firing,
            _ => false,
        }
    }

    pub(super) fn tell(&mut self, state: State, now_ms: i64) {
        self.told = Some(Told { state, at_ms: now_ms });
    }

    fn found(&mut self, finding: Finding, hold_ms: i64, now_ms: i64) {
        self.annotations = finding.annotations;
        self.value = finding.value;
        self.missed_ms = None;
        if self.state == State::Resolved {
            (self.state, self.active_ms, self.fired_ms, self.resolved_ms) =
                (State::Pending, now_ms, None, None);
        }
        if self.state == State::Pending && now_ms - self.active_ms >= hold_ms {
            (self.state, self.fired_ms) = (State::Firing, Some(now_ms));
        }
    }

    /// Whether it is still of interest.
    fn missed(&mut self, keep_ms: i64, now_ms: i64) -> bool {
        match self.state {
            State::Firing => {
                if now_ms - *self.missed_ms.get_or_insert(now_ms) >= keep_ms {
                    (self.state, self.resolved_ms) = (State::Resolved, Some(now_ms));
                }
                true
            }
            State::Resolved => {
                let since_ms = now_ms - self.resolved_ms.unwrap_or(now_ms);
                let untold = self.is_due(now_ms);
                since_ms < if untold { RESOLVED_KEPT_MS } else { RESOLVED_SHOWN_MS }
            }
            State::Pending | State::Inactive => false,
        }
    }
}

/// Brings a rule's alerts up to what its expression found, and says whether a state has changed.
pub(super) fn advance(
    instances: &mut Vec<Instance>,
    rule: &Alert,
    findings: Vec<Finding>,
    now_ms: i64,
) -> bool {
    let (hold_ms, keep_ms) = (millis(rule.hold), millis(rule.keep_firing));
    let before: Vec<(Words, State)> = shape(instances);
    let mut findings: HashMap<Words, Finding> =
        findings.into_iter().map(|finding| (finding.labels.clone(), finding)).collect();
    instances.retain_mut(|instance| match findings.remove(&instance.labels) {
        Some(finding) => {
            instance.found(finding, hold_ms, now_ms);
            true
        }
        None => instance.missed(keep_ms, now_ms),
    });
    for finding in findings.into_values() {
        let mut instance = Instance::new(finding.clone(), now_ms);
        instance.found(finding, hold_ms, now_ms);
        instances.push(instance);
    }
    instances.sort_by(|a, b| a.labels.cmp(&b.labels));
    before != shape(instances)
}

fn shape(instances: &[Instance]) -> Vec<(Words, State)> {
    instances.iter().map(|instance| (instance.labels.clone(), instance.state)).collect()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(hold_s: u64, keep_s: u64) -> Alert {
        let (hold, keep_firing) = (Duration::from_secs(hold_s), Duration::from_secs(keep_s));
        Alert { name: "Down".to_owned(), hold, keep_firing, annotations: Vec::new() }
    }

    fn node(name: &str) -> Finding {
        let labels = Words::from([("node".to_owned(), name.to_owned())]);
        Finding { labels, annotations: Words::new(), value: "1".to_owned() }
    }

    fn states(instances: &[Instance]) -> Vec<State> {
        instances.iter().map(|instance| instance.state).collect()
    }

    #[test]
    fn an_alert_is_pending_then_firing_then_resolved() {
        let (rule, mut all) = (rule(10, 0), Vec::new());
        assert!(advance(&mut all, &rule, vec![node("a")], 1000));
        assert_eq!(states(&all), [State::Pending]);
        assert!(!advance(&mut all, &rule, vec![node("a")], 6000));
        assert!(advance(&mut all, &rule, vec![node("a"), node("b")], 11_000));
        assert_eq!(states(&all), [State::Firing, State::Pending]);
        assert!(advance(&mut all, &rule, vec![], 12_000));
        assert_eq!(states(&all), [State::Resolved], "what was pending is gone without a word");
        assert!(advance(&mut all, &rule, vec![node("a")], 13_000));
        assert_eq!((states(&all), all[0].active_ms), (vec![State::Pending], 13_000), "it holds anew");
    }

    #[test]
    fn keep_firing_bridges_a_gap() {
        let (rule, mut all) = (rule(0, 60), Vec::new());
        advance(&mut all, &rule, vec![node("a")], 0);
        advance(&mut all, &rule, vec![], 5000);
        advance(&mut all, &rule, vec![node("a")], 10_000);
        advance(&mut all, &rule, vec![], 15_000);
        assert_eq!(states(&all), [State::Firing]);
        advance(&mut all, &rule, vec![], 75_000);
        assert_eq!(states(&all), [State::Resolved]);
    }

    #[test]
    fn the_receiver_is_told_of_changes_and_again_after_hours() {
        let (rule, mut all) = (rule(0, 0), Vec::new());
        advance(&mut all, &rule, vec![node("a")], 0);
        assert!(all[0].is_due(0));
        all[0].tell(State::Firing, 0);
        assert!(!all[0].is_due(1000) && all[0].is_due(REPEAT_MS));
        advance(&mut all, &rule, vec![], 5000);
        assert!(all[0].is_due(5000));
        advance(&mut all, &rule, vec![], RESOLVED_SHOWN_MS + 5000);
        assert_eq!(all.len(), 1, "not yet told");
        all[0].tell(State::Resolved, 6000);
        assert!(!all[0].is_due(7000));
        advance(&mut all, &rule, vec![], RESOLVED_SHOWN_MS + 5000);
        assert_eq!(all, []);
    }
}
