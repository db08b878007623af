//! Flags: evaluated per request, in the process, from the watched snapshot.
//!
//! Stored in flagd's format, one flag whole under one key. A flag that the service does not know, that is
//! disabled or broken never stops a request: the code's default, or the last good version, is served.

mod admin;
mod bucketing;
mod catalog;
mod context;
mod definition;
mod details;
mod document;
mod evaluators;
mod flag;
mod operators;
mod past;
mod targeting;

pub use admin::{FlagSummary, VariantCount};
pub use context::EvaluationContext;
pub use definition::State;
pub use details::{Details, ErrorCode, Reason};
pub use document::Import;
pub use flag::Flag;

use crate::metrics::Meters;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::typed::Typed;
use crate::wakes::Wakes;
use crate::watcher::Projection;
use arc_swap::ArcSwap;
use catalog::Catalog;
use evaluators::Evaluators;
use onefold_core::Clock;
use onefold_core::metrics::Metrics;
use std::fmt;
use std::sync::Arc;

const KEYS: &str = "flags/";
const EVALUATORS: &str = "flag-evaluators/";
const METADATA: &str = "flag-metadata";

/// The flags of the system. Cloning is cheap.
#[derive(Clone)]
pub struct Flags {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) clock: Clock,
}

/// The flags of the snapshot, compiled.
pub(crate) struct Compiled {
    catalog: ArcSwap<Catalog>,
    meters: Meters,
    metrics: Metrics,
}

impl Flags {
    /// The value of a flag for a subject. Never waits and never fails: see [`Flags::details`].
    pub fn get<T: Typed>(&self, flag: &Flag<T>, context: &EvaluationContext) -> T::Value {
        self.details(flag, context).value
    }

    /// The value with the variant, the reason and what was wrong.
    pub fn details<T: Typed>(&self, flag: &Flag<T>, context: &EvaluationContext) -> Details<T::Value> {
        let details = self.compiled.catalog.load().evaluate(flag, context, || self.clock.wall());
        tracing::trace!(
            feature_flag.key = flag.name(),
            feature_flag.result.variant = details.variant.as_deref(),
            feature_flag.result.reason = %details.reason,
            "feature_flag.evaluation"
        );
        details
    }
}

impl Compiled {
    pub(crate) fn new(meters: Meters, metrics: Metrics) -> Self {
        Self { catalog: ArcSwap::default(), meters, metrics }
    }
}

impl Projection for Compiled {
    fn apply(&self, snapshot: &Snapshot) {
        let evaluators = snapshot
            .under(EVALUATORS)
            .map(|(name, entry)| (name.to_owned(), (*entry.value).clone()))
            .collect();
        let stored = snapshot.under(KEYS).map(|(name, entry)| (name, &entry.value));
        let next = self.catalog.load().next(stored, Evaluators(evaluators), &self.metrics);
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        self.meters.broken_flags.set(next.broken() as f64);
        self.catalog.store(Arc::new(next));
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.compiled.catalog.load().iter().map(|(name, _)| name)).finish()
    }
}

fn key(name: &str) -> String {
    format!("{KEYS}{name}")
}
