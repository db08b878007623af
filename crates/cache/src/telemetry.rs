//! Metric handles of this tier.

use onefold_core::metrics::{Counter, Gauge, Histogram, Metrics};

#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) hits_l1: Counter,
    pub(crate) hits_l2: Counter,
    pub(crate) hits_flight: Counter,
    pub(crate) hits_stale: Counter,
    pub(crate) misses: Counter,
    pub(crate) bypasses: Counter,
    pub(crate) fills_accepted: Counter,
    pub(crate) fills_refused: Counter,
    pub(crate) fills_unstamped: Counter,
    pub(crate) invalidations_confirmed: Counter,
    pub(crate) invalidations_unconfirmed: Counter,
    pub(crate) invalidations_dispatched: Counter,
    pub(crate) gaps_bus: Counter,
    pub(crate) gaps_tail: Counter,
    pub(crate) l2_failures: Counter,
    pub(crate) l2_open: Gauge,
    pub(crate) load_seconds: Histogram,
    pub(crate) get_seconds: Histogram,
}

impl Telemetry {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let hits = |level| {
            metrics.counter("onefold_cache_hits", "Reads answered without a load.", &[("level", level)])
        };
        let fills = |outcome| {
            metrics.counter(
                "onefold_cache_fills",
                "Loaded values, by what became of them.",
                &[("outcome", outcome)],
            )
        };
        let invalidations = |outcome| {
            let help = "Invalidations of committed transactions, by how they came into force.";
            metrics.counter("onefold_cache_invalidations", help, &[("outcome", outcome)])
        };
        let gaps = |source| {
            metrics.counter(
                "onefold_cache_gaps",
                "Times that L1 was emptied for a gap.",
                &[("source", source)],
            )
        };
        Self {
            hits_l1: hits("l1"),
            hits_l2: hits("l2"),
            hits_flight: hits("flight"),
            hits_stale: hits("stale"),
            misses: metrics.counter("onefold_cache_misses", "Reads that had to load.", &[]),
            bypasses: metrics.counter(
                "onefold_cache_bypasses",
                "Strong reads, which never ask a cache.",
                &[],
            ),
            fills_accepted: fills("accepted"),
            fills_refused: fills("refused"),
            fills_unstamped: fills("unstamped"),
            invalidations_confirmed: invalidations("confirmed"),
            invalidations_unconfirmed: invalidations("unconfirmed"),
            invalidations_dispatched: invalidations("dispatched"),
            gaps_bus: gaps("bus"),
            gaps_tail: gaps("tail"),
            l2_failures: metrics.counter(
                "onefold_cache_l2_failures",
                "Failed calls of the shared level.",
                &[],
            ),
            l2_open: metrics.gauge(
                "onefold_cache_l2_open",
                "How much of the shared level is left alone, from 0 to 1.",
                &[],
            ),
            get_seconds: metrics.latency(
                "onefold_cache_get_seconds",
                "How long reads took, with the load where there was one.",
                &[],
            ),
            load_seconds: metrics.latency("onefold_cache_load_seconds", "How long loaders took.", &[]),
        }
    }
}
