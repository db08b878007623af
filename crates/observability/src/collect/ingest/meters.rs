//! How much is taken and refused, by signal.

use super::answer::Refusal;
use super::{Accepted, Signal};
use onefold_core::metrics::{Counter, Metrics};

/// The counters of one signal.
struct Counters {
    accepted: Counter,
    rejected: Counter,
    malformed: Counter,
    busy: Counter,
}

/// The counters of all signals.
pub(super) struct Meters([Counters; 3]);

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self(["traces", "metrics", "logs"].map(|signal| {
            let items = |outcome| {
                let help = "Spans, data points and log records that came by OTLP, by what became of them.";
                metrics.counter(
                    "onefold_observer_received_items",
                    help,
                    &[("signal", signal), ("outcome", outcome)],
                )
            };
            let requests = |outcome| {
                let help = "Requests by OTLP that were refused whole.";
                metrics.counter(
                    "onefold_observer_refused_requests",
                    help,
                    &[("signal", signal), ("outcome", outcome)],
                )
            };
            Counters {
                accepted: items("accepted"),
                rejected: items("rejected"),
                malformed: requests("malformed"),
                busy: requests("busy"),
            }
        }))
    }

    pub(super) fn count(&self, signal: Signal, taken: &Result<Accepted, Refusal>) {
        let counters = &self.0[signal as usize];
        match taken {
            Ok(taken) => {
                counters.accepted.inc_by(taken.accepted);
                counters.rejected.inc_by(taken.rejected);
            }
            Err(Refusal::Busy) => drop(counters.busy.inc()),
            Err(_) => drop(counters.malformed.inc()),
        }
    }
}
