//! All flags of one snapshot, compiled. A flag that arrives broken keeps its last good version and says so.

use super::context::EvaluationContext;
use super::definition::Definition;
use super::details::{Details, ErrorCode};
use super::evaluators::Evaluators;
use super::flag::Flag;
use crate::typed::Typed;
use onefold_core::metrics::Metrics;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The flags in force.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    flags: HashMap<Arc<str>, Entry>,
    evaluators: Evaluators,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    stored: Arc<Json>,
    pub(super) good: Option<Arc<Definition>>,
    pub(super) fault: Option<Arc<str>>,
}

impl Catalog {
    /// The catalog of what is stored now; what did not change is taken over from the catalog before.
    pub(super) fn next<'a>(
        &self,
        stored: impl Iterator<Item = (&'a str, &'a Arc<Json>)>,
        evaluators: Evaluators,
        metrics: &Metrics,
    ) -> Self {
        let same_rules = evaluators == self.evaluators;
        let flags = stored
            .map(|(name, json)| {
                let entry = match self.flags.get_key_value(name) {
                    Some((name, before)) if same_rules && before.stored == *json => {
                        return (name.clone(), before.clone());
                    }
                    before => {
                        let good = before.and_then(|(_, before)| before.good.clone());
                        Entry::new(json, name, good, &evaluators, metrics)
                    }
                };
                (Arc::from(name), entry)
            })
            .collect();
        Self { flags, evaluators }
    }

    /// Evaluates a flag.
    pub(super) fn evaluate<T: Typed>(
        &self,
        flag: &Flag<T>,
        context: &EvaluationContext,
        now: impl FnOnce() -> SystemTime,
    ) -> Details<T::Value> {
        let Some(entry) = self.flags.get(flag.name) else {
            let message = format!("there is no flag `{}`", flag.name);
            return Details::failed(flag.default.value(), ErrorCode::FlagNotFound, message);
        };
        let Some(definition) = &entry.good else {
            let fault = entry.fault.as_deref().unwrap_or_default();
            return Details::failed(flag.default.value(), ErrorCode::ParseError, fault);
        };
        let details = definition.evaluate(flag.name, flag.default, context, now);
        match &entry.fault {
            Some(fault) => details.with_message(Some(format!("the last good version is served: {fault}"))),
            None => details,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.flags.iter()
    }

    /// How many flags are stored that this node cannot read.
    pub(super) fn broken(&self) -> usize {
        self.flags.values().filter(|entry| entry.fault.is_some()).count()
    }
}

impl Entry {
    fn new(
        json: &Arc<Json>,
        name: &str,
        fallback: Option<Arc<Definition>>,
        evaluators: &Evaluators,
        metrics: &Metrics,
    ) -> Self {
        let counter = |variant: &str| {
            metrics.counter(
                "onefold_coordination_flag_evaluations",
                "Evaluations of a flag by the variant that was served",
                &[("flag", name), ("variant", variant)],
            )
        };
        match Definition::compile(json, evaluators, counter) {
            Ok(definition) => Self { stored: json.clone(), good: Some(definition.into()), fault: None },
            Err(why) => {
                let kept = if fallback.is_some() {
                    "its last good version stays"
                } else {
                    "its code default is served"
                };
                tracing::warn!(flag = name, error = %why, "flag is broken: {kept}");
                Self { stored: json.clone(), good: fallback, fault: Some(why.into()) }
            }
        }
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
