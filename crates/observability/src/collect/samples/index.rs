//! Which series there are, found by their labels. Texts that series share are kept once.

use crate::collect::promql::{Labels, Matcher, Test};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By name, by value: the ids of the series that have it.
    postings: HashMap<Arc<str>, HashMap<Arc<str>, BTreeSet<u32>>>,
    by_labels: HashMap<Labels, u32>,
}

impl Index {
    pub(super) fn id(&self, labels: &Labels) -> Option<u32> {
        self.by_labels.get(labels).copied()
    }

    /// Enters a series, and gives its labels in shared texts.
    pub(super) fn insert(&mut self, id: u32, labels: &Labels) -> Labels {
        let labels = Labels::new(labels.pairs().iter().map(|(name, value)| self.shared(name, value)));
        for (name, value) in labels.pairs() {
            self.postings
                .entry(Arc::clone(name))
                .or_default()
                .entry(Arc::clone(value))
                .or_default()
                .insert(id);
        }
        self.by_labels.insert(labels.clone(), id);
        labels
    }

    fn shared(&self, name: &Arc<str>, value: &Arc<str>) -> (Arc<str>, Arc<str>) {
        let Some((known, values)) = self.postings.get_key_value(name) else {
            return (Arc::clone(name), Arc::clone(value));
        };
        let value = values.get_key_value(value).map_or(value, |(known, _)| known);
        (Arc::clone(known), Arc::clone(value))
    }

    pub(super) fn remove(&mut self, id: u32, labels: &Labels) {
        self.by_labels.remove(labels);
        for (name, value) in labels.pairs() {
            let Some(values) = self.postings.get_mut(name) else { continue };
            let Some(ids) = values.get_mut(value) else { continue };
            ids.remove(&id);
            if ids.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                self.postings.remove(name);
            }
        }
    }

    /// Ids among which all matching series are; the labels of each still have to be asked.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Vec<u32> {
        let exact = matchers.iter().filter_map(|matcher| match &matcher.test {
            Test::Equal(value) if !value.is_empty() => Some(self.ids(&matcher.name, value)),
            _ => None,
        });
        if let Some(fewest) = exact.min_by_key(|ids| ids.map_or(0, BTreeSet::len)) {
            return fewest.into_iter().flatten().copied().collect();
        }
        // Without an exact value, the values of a pattern that no empty value passes.
        let pattern = matchers.iter().find(|matcher| !matcher.accepts(""));
        let Some(pattern) = pattern else { return self.by_labels.values().copied().collect() };
        let Some(values) = self.postings.get(&*pattern.name) else { return Vec::new() };
        let matching = values.iter().filter(|(value, _)| pattern.accepts(value));
        matching.flat_map(|(_, ids)| ids.iter().copied()).collect()
    }

    fn ids(&self, name: &str, value: &str) -> Option<&BTreeSet<u32>> {
        self.postings.get(name)?.get(value)
    }

    /// All names of labels, sorted.
    pub(super) fn names(&self) -> BTreeSet<Arc<str>> {
        self.postings.keys().cloned().collect()
    }

    /// All values of a label, sorted.
    pub(super) fn values(&self, name: &str) -> BTreeSet<Arc<str>> {
        self.postings.get(name).into_iter().flat_map(|values| values.keys().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::promql::METRIC_NAME;

    #[test]
    fn series_are_found_by_exact_values_and_patterns_and_leave_nothing_behind() {
        let mut index = Index::default();
        let labels = |name: &str, job: &str| Labels::new([(METRIC_NAME, name), ("job", job)]);
        let all = [("up", "a"), ("up", "b"), ("down", "a")];
        for ((name, job), id) in all.into_iter().zip(0..) {
            let _ = index.insert(id, &labels(name, job));
        }
        let found = |matchers: &[Matcher]| {
            let mut ids = index.candidates(matchers);
            ids.sort_unstable();
            ids
        };
        assert_eq!(found(&[Matcher::equal("job", "b"), Matcher::equal(METRIC_NAME, "up")]), [1]);
        assert_eq!(found(&[Matcher::equal("job", "c")]), [] as [u32; 0]);
        let pattern =
            Matcher { name: METRIC_NAME.to_owned(), test: Test::Matches("^up|x$".parse().unwrap()) };
        assert_eq!(found(&[pattern]), [0, 1]);
        for ((name, job), id) in all.into_iter().zip(0..) {
            index.remove(id, &labels(name, job));
        }
        assert!(index.names().is_empty() && index.by_labels.is_empty());
    }
}
