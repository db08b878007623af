//! What the gate tells of itself.

use super::desk::Reason;
use onefold_core::metrics::{Counter, Gauge, Metrics};

/// The handles of a gate.
#[derive(Clone, Debug)]
pub(super) struct Meters {
    pub(super) limit: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) waiting: Gauge,
    refused: [Counter; Reason::ALL.len()],
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Self {
            limit: gauge("onefold_app_concurrency_limit", "Requests that may run at once"),
            in_flight: gauge("onefold_app_in_flight", "Requests that run"),
            waiting: gauge("onefold_app_waiting", "Requests that wait for a place"),
            refused: Reason::ALL.map(|reason| {
                let help = "Requests answered 503 before anything was done for them, by reason";
                metrics.counter("onefold_app_refused", help, &[("reason", reason.as_str())])
            }),
        }
    }

    pub(super) fn refused(&self, reason: Reason) {
        self.refused[reason as usize].inc();
    }
}
