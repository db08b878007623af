//! Own probes of the primary's flush LSN: by them, and this node's clock alone, "at most so stale" is known.

use onefold_core::{Clock, Lsn};
use onefold_database::{Database, Error};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Some bounds are shorter than others; a probe for each tenth of them is enough.
const PROBES_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Probes(Mutex<VecDeque<(Instant, Lsn)>>);

impl Probes {
    /// What a read that may be `bound` stale must have seen: the flush LSN at the oldest probe younger than that. If
    /// there is none, probes; many callers share one.
    pub(crate) async fn at_most(
        &self,
        bound: Duration,
        database: &Database,
        clock: &Clock,
    ) -> Result<Lsn, Error> {
        // Held over the probe on purpose: whoever waits would otherwise probe too.
        let mut probes = self.0.lock().await;
        let asked = clock.now();
        if let Some(lsn) = oldest_within(&probes, bound, asked) {
            return Ok(lsn);
        }
        let lsn = database.flush_lsn().await?;
        if probes.len() == PROBES_MAX {
            probes.pop_front();
        }
        probes.push_back((asked, lsn));
        Ok(lsn)
    }
}

fn oldest_within(probes: &VecDeque<(Instant, Lsn)>, bound: Duration, now: Instant) -> Option<Lsn> {
    probes.iter().find(|(asked, _)| now.saturating_duration_since(*asked) < bound).map(|(_, lsn)| *lsn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_probe_within_the_bound_counts() {
        let clock = Clock::manual();
        let mut probes = VecDeque::new();
        for lsn in [10, 20, 30] {
            probes.push_back((clock.now(), Lsn(lsn)));
            clock.advance(Duration::from_millis(100));
        }
        let within = |millis| oldest_within(&probes, Duration::from_millis(millis), clock.now());
        assert_eq!(within(1000), Some(Lsn(10)));
        assert_eq!(within(250), Some(Lsn(20)));
        assert_eq!(within(100), None);
    }
}
