//! Whom a flag is evaluated for.

use serde_json::{Map, Value as Json};

/// The subject of an evaluation: a targeting key (who) and attributes (what is known of them).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvaluationContext {
    pub(super) targeting_key: Option<String>,
    pub(super) attributes: Map<String, Json>,
}

impl EvaluationContext {
    /// Nobody in particular: rules that ask for a targeting key serve the default variant.
    pub fn new() -> Self {
        Self::default()
    }

    /// A subject with this key, which decides its place in rollouts.
    pub fn of(targeting_key: impl Into<String>) -> Self {
        Self { targeting_key: Some(targeting_key.into()), attributes: Map::new() }
    }

    /// The same with one attribute more, as `{"var": "name"}` reads it.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Json>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// A context as `OpenFeature` writes it in JSON: attributes, with the key at `targetingKey`.
    pub fn from_json(mut attributes: Map<String, Json>) -> Self {
        let targeting_key = match attributes.remove("targetingKey") {
            Some(Json::String(key)) => Some(key),
            _ => None,
        };
        Self { targeting_key, attributes }
    }

    /// The key, if there is one.
    pub fn targeting_key(&self) -> Option<&str> {
        self.targeting_key.as_deref()
    }
}
