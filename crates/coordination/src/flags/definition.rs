//! A flag in flagd's format, checked and compiled: what evaluation runs on.

use super::bucketing;
use super::context::EvaluationContext;
use super::details::{Details, ErrorCode, Reason};
use super::evaluators::Evaluators;
use super::targeting::{Choice, Targeting};
use crate::typed::Typed;
use onefold_core::metrics::Counter;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::SystemTime;

/// Whether a flag is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// It is evaluated.
    Enabled,
    /// The kill switch: everybody gets the code's default.
    Disabled,
}

/// A flag as it is stored: flagd's schema, kept whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored {
    state: State,
    variants: Map<String, Json>,
    #[serde(default)]
    default_variant: Option<String>,
    #[serde(default)]
    targeting: Option<Json>,
    #[serde(default)]
    metadata: Map<String, Json>,
}

/// A checked flag.
#[derive(Debug)]
pub(super) struct Definition {
    state: State,
    variants: Vec<Variant>,
    default: Option<usize>,
    targeting: Option<Targeting>,
}

#[derive(Debug)]
struct Variant {
    name: Arc<str>,
    value: Json,
    served: Counter,
}

impl Definition {
    /// Checks and compiles a stored flag, whose variants count on what `counter` hands out; a text says what is
    /// wrong and what would be right.
    pub(super) fn compile(
        stored: &Json,
        evaluators: &Evaluators,
        counter: impl Fn(&str) -> Counter,
    ) -> Result<Self, String> {
        let stored = Stored::deserialize(stored).map_err(|error| error.to_string())?;
        stored.check()?;
        let mut variants: Vec<Variant> = stored
            .variants
            .into_iter()
            .map(|(name, value)| Variant { served: counter(&name), name: name.into(), value })
            .collect();
        // Whether a JSON object keeps its order depends on the build.
        variants.sort_by(|a, b| a.name.cmp(&b.name));
        let default = match &stored.default_variant {
            Some(name) => Some(index_of(&variants, name).ok_or_else(|| unknown_variant(&variants, name))?),
            None => None,
        };
        let rule = stored.targeting.filter(|rule| rule.as_object().is_none_or(|rule| !rule.is_empty()));
        let targeting = match rule {
            Some(rule) => Some(
                Targeting::compile(&evaluators.resolve(&rule)?).map_err(|why| format!("targeting: {why}"))?,
            ),
            None => None,
        };
        Ok(Self { state: stored.state, variants, default, targeting })
    }

    /// Evaluates the flag for a subject, falling back to the code's default.
    pub(super) fn evaluate<T: Typed>(
        &self,
        name: &str,
        default: T,
        context: &EvaluationContext,
        now: impl FnOnce() -> SystemTime,
    ) -> Details<T::Value> {
        if self.state == State::Disabled {
            return Details::code_default(default.value(), Reason::Disabled);
        }
        let Some(targeting) = &self.targeting else {
            return self.serve_default(default, Reason::Static);
        };
        match targeting.choose(name, context, now()) {
            Choice::Variant(variant) => match index_of(&self.variants, &variant) {
                Some(index) => self.serve(index, default, Reason::TargetingMatch),
                None => Details::failed(
                    default.value(),
                    ErrorCode::General,
                    format!("the rule answers with {}", unknown_variant(&self.variants, &variant)),
                ),
            },
            Choice::Nothing => self.serve_default(default, Reason::Default),
            Choice::Failed(why) => self.serve_default(default, Reason::Default).with_message(Some(why)),
        }
    }

    /// How often each variant was served here.
    pub(super) fn counts(&self) -> Vec<(Arc<str>, u64)> {
        self.variants.iter().map(|v| (v.name.clone(), v.served.get())).collect()
    }

    /// Checks a stored flag for people who write one: nothing that it serves is counted.
    pub(super) fn uncounted(stored: &Json, evaluators: &Evaluators) -> Result<Self, String> {
        Self::compile(stored, evaluators, |_| Counter::default())
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn is_targeted(&self) -> bool {
        self.targeting.is_some()
    }

    fn serve_default<T: Typed>(&self, default: T, reason: Reason) -> Details<T::Value> {
        match self.default {
            Some(index) => self.serve(index, default, reason),
            // flagd: without a default variant the code's default is meant, and that is no error.
            None => Details::code_default(default.value(), Reason::Default),
        }
    }

    fn serve<T: Typed>(&self, index: usize, default: T, reason: Reason) -> Details<T::Value> {
        let variant = &self.variants[index];
        match T::read(&variant.value) {
            Some(value) => {
                variant.served.inc();
                Details::chosen(value, &variant.name, reason)
            }
            None => Details::failed(
                default.value(),
                ErrorCode::TypeMismatch,
                format!("variant `{}` is {}; the program asks for {}", variant.name, variant.value, T::WORDS),
            ),
        }
    }
}

impl Stored {
    fn check(&self) -> Result<(), String> {
        if self.variants.is_empty() {
            return Err("it has no variants: write at least one, as in {\"on\": true, \"off\": false}".into());
        }
        match self.metadata.get("bucketing") {
            None => Ok(()),
            Some(version) if version.as_u64() == Some(bucketing::VERSION) => Ok(()),
            Some(other) => Err(format!(
                "metadata.bucketing: this build spreads keys as version {}, not {other}",
                bucketing::VERSION
            )),
        }
    }
}

fn index_of(variants: &[Variant], name: &str) -> Option<usize> {
    variants.iter().position(|variant| &*variant.name == name)
}

fn unknown_variant(variants: &[Variant], name: &str) -> String {
    let known: Vec<&str> = variants.iter().map(|variant| &*variant.name).collect();
    format!("`{name}`, which is none of its variants: {}", known.join(", "))
}
