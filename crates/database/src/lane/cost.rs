//! What statements cost on average, so that slow ones leave the shared lane.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// A statement that takes longer on average makes too many others wait.
const SHARED_MAX: Duration = Duration::from_millis(5);
/// A new value counts for an eighth.
const WEIGHT: u64 = 8;
/// As for prepared statements: an application has hundreds of texts.
const STATEMENTS_MAX: usize = 1000;

/// The average cost of each statement text, over all connections of this node.
#[derive(Debug, Default)]
pub(crate) struct Costs(RwLock<HashMap<Box<str>, Arc<Cost>>>);

/// A moving average, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Cost(AtomicU64);

impl Costs {
    pub(crate) fn of(&self, sql: &str) -> Arc<Cost> {
        if let Some(cost) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(sql) {
            return Arc::clone(cost);
        }
        let mut costs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if costs.len() >= STATEMENTS_MAX {
            costs.clear();
        }
        Arc::clone(costs.entry(sql.into()).or_default())
    }
}

impl Cost {
    pub(crate) fn is_slow(&self) -> bool {
        Duration::from_micros(self.0.load(Ordering::Relaxed)) > SHARED_MAX
    }

    /// Notes one run. Two at once may lose one of their values, which an average bears.
    pub(crate) fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let average = self.0.load(Ordering::Relaxed);
        let next = if average == 0 { took } else { (average / WEIGHT) * (WEIGHT - 1) + took / WEIGHT };
        self.0.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_leaves_the_shared_lane_while_it_is_slow_on_average() {
        let costs = Costs::default();
        costs.of("slow").note(Duration::from_millis(50));
        assert!(costs.of("slow").is_slow() && !costs.of("quick").is_slow());
        for _ in 0..50 {
            costs.of("slow").note(Duration::from_millis(1));
        }
        assert!(!costs.of("slow").is_slow(), "it has become quick");
        costs.of("slow").note(Duration::from_millis(20));
        assert!(!costs.of("slow").is_slow(), "one slow run is not the average");
    }
}
