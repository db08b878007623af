//! Feature flags.

use super::Context;
use onefold_coordination::{Details, EvaluationContext, Flag, Typed};

/// Feature flags, evaluated for the request's client.
#[derive(Clone)]
pub struct Flags {
    context: Context,
    evaluation: EvaluationContext,
}

impl Flags {
    pub(crate) fn new(context: Context) -> Self {
        let evaluation = context.client.as_deref().map_or_else(EvaluationContext::new, EvaluationContext::of);
        Self { context, evaluation }
    }

    /// Adds an attribute that targeting rules may ask for.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.evaluation = self.evaluation.with(name, value);
        self
    }

    /// The flag's value for this client; its default where it is not defined, disabled or broken.
    pub fn get<T: Typed>(&self, flag: &Flag<T>) -> T::Value {
        self.context.node.coordination.flags().get(flag, &self.evaluation)
    }

    /// The value with its variant and the reason for it.
    pub fn details<T: Typed>(&self, flag: &Flag<T>) -> Details<T::Value> {
        self.context.node.coordination.flags().details(flag, &self.evaluation)
    }
}
