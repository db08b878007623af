//! Which series, labels and metrics there are: what Prometheus' API lists.

use super::block::dictionary;
use super::head::Head;
use super::metadata::Description;
use super::sink::millis;
use super::{Exemplar, Samples};
use crate::collect::Error;
use crate::collect::promql::{Labels, METRIC_NAME, Matcher};
use crate::collect::segment::Segment;
use std::collections::{BTreeMap, BTreeSet};

/// Enters the series of a segment of an earlier run.
pub(super) fn restore(segment: &Segment, head: &mut Head) -> Result<(), Error> {
    let ended_ms = millis(segment.ended());
    segment.read(|connection| {
        let mut statement = connection.prepare("SELECT data FROM series")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for (id, labels) in dictionary(row.get_ref(0)?.as_blob().unwrap_or_default())? {
                head.restore_series(id, &labels, ended_ms);
            }
        }
        Ok(())
    })
}

impl Samples {
    /// The series that any of the selectors wants and that had a sample at `start_ms` or later; of no selectors,
    /// all. Sorted.
    pub fn series(&self, selectors: &[Vec<Matcher>], start_ms: i64) -> BTreeSet<Labels> {
        let head = self.head();
        let none = [Vec::new()];
        let selectors = if selectors.is_empty() { &none[..] } else { selectors };
        selectors.iter().flat_map(|matchers| head.matching(matchers, start_ms)).cloned().collect()
    }

    /// The names of labels, sorted.
    pub fn label_names(&self, selectors: &[Vec<Matcher>], start_ms: i64) -> BTreeSet<String> {
        if selectors.is_empty() {
            return self.head().index.names().iter().map(ToString::to_string).collect();
        }
        let series = self.series(selectors, start_ms);
        series.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect()
    }

    /// The values of a label, sorted.
    pub fn label_values(&self, name: &str, selectors: &[Vec<Matcher>], start_ms: i64) -> BTreeSet<String> {
        if selectors.is_empty() {
            return self.head().index.values(name).iter().map(ToString::to_string).collect();
        }
        let series = self.series(selectors, start_ms);
        series.iter().map(|labels| labels.get(name).to_owned()).filter(|value| !value.is_empty()).collect()
    }

    /// The names of all metrics, sorted.
    pub fn metric_names(&self) -> BTreeSet<String> {
        self.label_values(METRIC_NAME, &[], i64::MIN)
    }

    /// Types and words of metrics, by name.
    pub fn descriptions(&self) -> BTreeMap<String, Description> {
        self.described().metadata.all()
    }

    /// Exemplars of the series that any of the selectors wants, by series.
    pub fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> BTreeMap<Labels, Vec<Exemplar>> {
        self.described().exemplars.select(selectors, start_ms, end_ms)
    }
}
