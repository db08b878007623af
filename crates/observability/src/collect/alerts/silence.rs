//! Silences: alerts that match are shown, and nobody is told of them until the silence ends.

use super::state::Words;
use serde::{Deserialize, Serialize};

const SILENCES_MAX: usize = 1000;
const MATCHERS_MAX: usize = 32;
const FOR_MS_MAX: i64 = 366 * 86_400_000;
const REASON_BYTES_MAX: usize = 1024;

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Silence {
    /// Its name.
    pub id: String,
    /// Labels that an alert must have, `alertname` among them; all of them.
    pub matchers: Words,
    /// Why.
    pub reason: String,
    /// Milliseconds since 1970.
    pub until_ms: i64,
}

/// What is asked for: the body of `POST /api/alerts/silences`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSilence {
    /// Labels that an alert must have; at least one.
    pub matchers: Words,
    /// For how long, in seconds.
    pub for_s: u64,
    /// Why, for those who wonder.
    #[serde(default)]
    pub reason: String,
}

/// A silence that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidSilence {
    /// The field of the request.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// All silences.
#[derive(Debug, Default)]
pub(super) struct Silences(Vec<Silence>);

impl Silences {
    pub(super) fn restored(all: Vec<Silence>) -> Self {
        Self(all.into_iter().take(SILENCES_MAX).collect())
    }

    pub(super) fn add(
        &mut self,
        new: NewSilence,
        id: String,
        now_ms: i64,
    ) -> Result<Silence, InvalidSilence> {
        let invalid = |field, problem: String| Err(InvalidSilence { field, problem });
        self.end_before(now_ms);
        if new.matchers.is_empty() {
            return invalid("matchers", "name at least one label, such as alertname".to_owned());
        }
        if new.matchers.len() > MATCHERS_MAX {
            return invalid("matchers", format!("at most {MATCHERS_MAX} labels"));
        }
        let for_ms = i64::try_from(new.for_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        if !(1000..=FOR_MS_MAX).contains(&for_ms) {
            return invalid("for_s", "choose 1 second to 366 days".to_owned());
        }
        if new.reason.len() > REASON_BYTES_MAX {
            return invalid("reason", format!("at most {REASON_BYTES_MAX} bytes"));
        }
        if self.0.len() >= SILENCES_MAX {
            return invalid("matchers", format!("there are {SILENCES_MAX} silences already: remove one"));
        }
        let silence = Silence { id, matchers: new.matchers, reason: new.reason, until_ms: now_ms + for_ms };
        self.0.push(silence.clone());
        Ok(silence)
    }

    /// Whether there was one of this name.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|silence| silence.id != id);
        self.0.len() < before
    }

    pub(super) fn end_before(&mut self, now_ms: i64) {
        self.0.retain(|silence| silence.until_ms > now_ms);
    }

    /// The silence of these labels that lasts longest.
    pub(super) fn of(&self, labels: &Words, now_ms: i64) -> Option<&Silence> {
        let matches = |silence: &&Silence| {
            silence.until_ms > now_ms
                && silence.matchers.iter().all(|(name, value)| labels.get(name).map_or("", |v| v) == value)
        };
        self.0.iter().filter(matches).max_by_key(|silence| silence.until_ms)
    }

    pub(super) fn all(&self) -> &[Silence] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pairs: &[(&str, &str)]) -> Words {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_silence_covers_what_has_all_its_labels_until_it_ends() {
        let mut silences = Silences::default();
        let new = NewSilence { matchers: words(&[("alertname", "Down")]), for_s: 60, reason: String::new() };
        let silence = silences.add(new, "1".to_owned(), 0).unwrap();
        let alert = words(&[("alertname", "Down"), ("node", "a")]);
        assert_eq!(silences.of(&alert, 59_999), Some(&silence));
        assert_eq!(silences.of(&alert, 60_000), None);
        assert_eq!(silences.of(&words(&[("alertname", "Up")]), 0), None);
        assert!(silences.remove("1") && !silences.remove("1"));
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        let refused = |matchers: &[(&str, &str)], for_s| {
            let new = NewSilence { matchers: words(matchers), for_s, reason: String::new() };
            Silences::default().add(new, String::new(), 0).unwrap_err().field
        };
        assert_eq!(refused(&[], 60), "matchers");
        assert_eq!(refused(&[("a", "b")], 0), "for_s");
        assert_eq!(refused(&[("a", "b")], u64::MAX), "for_s");
    }
}
