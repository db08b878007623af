//! The labels of a series: names and values, sorted by name, none of them empty.

use std::fmt;
use std::sync::Arc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A sorted set of labels. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[must_use]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// No labels.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// The labels in their order; a pair with an empty value is no label, and of equal names the last counts.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        // `dedup_by` drops its first argument, which is the later element: swapping keeps the later value.
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        pairs.retain(|(_, value)| !value.is_empty());
        Self(pairs.into())
    }

    /// The value of a label, or the empty text, which is the same as no such label.
    pub fn get(&self, name: &str) -> &str {
        self.0.binary_search_by(|pair| (*pair.0).cmp(name)).map_or("", |at| &self.0[at].1)
    }

    /// All pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The shared texts, for an index that interns them.
    pub(crate) fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }

    /// Only the labels of these names.
    pub fn keep(&self, names: &[String]) -> Self {
        self.filtered(|name| names.iter().any(|kept| kept == name))
    }

    /// All labels but those of these names and the metric's name.
    pub fn without(&self, names: &[String]) -> Self {
        self.filtered(|name| name != METRIC_NAME && !names.iter().any(|dropped| dropped == name))
    }

    /// All labels but the metric's name.
    pub fn without_name(&self) -> Self {
        if self.get(METRIC_NAME).is_empty() { self.clone() } else { self.without(&[]) }
    }

    /// The same labels with one set, or removed by an empty value.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let others = self.0.iter().filter(|pair| &*pair.0 != name).cloned();
        Self::new(others.chain([(Arc::from(name), Arc::from(value))]))
    }

    fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|pair| keep(&pair.0)).cloned().collect())
    }
}

/// As Prometheus writes them: `name{a="1", b="2"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.get(METRIC_NAME);
        f.write_str(name)?;
        let mut others = self.iter().filter(|(name, _)| *name != METRIC_NAME).peekable();
        if others.peek().is_none() && !name.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in others.enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

/// Whether a text may be the name of a label.
pub(crate) fn is_label_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_no_label_and_the_last_of_a_name_counts() {
        let labels = Labels::new([("b", "1"), ("a", ""), ("b", "2"), (METRIC_NAME, "up")]);
        assert_eq!(labels.to_string(), r#"up{b="2"}"#);
        assert_eq!(labels.with("b", "").to_string(), "up");
        assert_eq!(labels.without_name().with("c", "x").to_string(), r#"{b="2", c="x"}"#);
    }
}
