//! A targeting rule: `JSONLogic`, compiled once when the flag arrives, evaluated in the process.
//!
//! The rules run on `datalogic-rs`, with flagd's operators added.

use super::context::EvaluationContext;
use super::operators;
use datalogic_rs::bumpalo::Bump;
use datalogic_rs::{DataValue, Engine, Logic};
use serde_json::Value as Json;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| operators::register(Engine::builder()).build());

/// A compiled rule.
pub(super) struct Targeting(Logic);

/// What a rule chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// A variant by name.
    Variant(String),
    /// Nothing: the default variant is meant.
    Nothing,
    /// It could not be evaluated for this context; the text says why.
    Failed(String),
}

impl Targeting {
    /// Compiles a rule; a text says what is wrong with it.
    pub(super) fn compile(rule: &Json) -> Result<Self, String> {
        if let Some(name) = unknown_operator(rule) {
            return Err(format!("there is no operator `{name}`"));
        }
        ENGINE.compile(rule.to_string().as_str()).map(Self).map_err(|error| error.to_string())
    }

    /// Evaluates the rule for a subject.
    pub(super) fn choose(&self, flag: &str, context: &EvaluationContext, now: SystemTime) -> Choice {
        let arena = Bump::new();
        let input = input(&arena, flag, context, now);
        match ENGINE.evaluate(&self.0, input, &arena) {
            Ok(DataValue::Null) => Choice::Nothing,
            Ok(DataValue::String(variant)) => Choice::Variant((*variant).to_owned()),
            // A rule may answer with the condition itself where the variants are called `true` and `false`.
            Ok(DataValue::Bool(answer)) => Choice::Variant(answer.to_string()),
            Ok(DataValue::Number(number)) => Choice::Variant(number.to_string()),
            Ok(_) => Choice::Failed("the rule answers with no variant's name".to_owned()),
            Err(error) => Choice::Failed(error.to_string()),
        }
    }
}

impl std::fmt::Debug for Targeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Targeting")
    }
}

/// The context as flagd's rules see it: the attributes, `targetingKey`, and `$flagd` with the flag and the time.
fn input<'a>(
    arena: &'a Bump,
    flag: &'a str,
    context: &'a EvaluationContext,
    now: SystemTime,
) -> DataValue<'a> {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let envelope = arena.alloc_slice_fill_iter([
        ("flagKey", DataValue::String(flag)),
        ("timestamp", DataValue::from_i64(seconds.try_into().unwrap_or(i64::MAX))),
    ]);
    let key = context.targeting_key.as_deref().map_or(DataValue::Null, DataValue::String);
    let own = [("$flagd", DataValue::Object(envelope)), ("targetingKey", key)];
    let attributes: Vec<_> = context
        .attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value_in(arena, value)))
        .chain(own)
        .collect();
    DataValue::Object(arena.alloc_slice_fill_iter(attributes))
}

fn value_in<'a>(arena: &'a Bump, json: &'a Json) -> DataValue<'a> {
    match json {
        Json::Null => DataValue::Null,
        Json::Bool(value) => DataValue::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => DataValue::from_i64(whole),
            None => DataValue::from_f64(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => DataValue::String(text),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| value_in(arena, item)).collect();
            DataValue::Array(arena.alloc_slice_fill_iter(items))
        }
        Json::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| (name.as_str(), value_in(arena, value))).collect();
            DataValue::Object(arena.alloc_slice_fill_iter(fields))
        }
    }
}

/// The first operator of a rule which the engine does not know: such a rule compiles, and would fail in the
/// first evaluation that reaches it.
fn unknown_operator(rule: &Json) -> Option<&str> {
    match rule {
        Json::Array(items) => items.iter().find_map(unknown_operator),
        Json::Object(fields) => fields.iter().find_map(|(name, operands)| {
            let known = ENGINE.has_custom_operator(name)
                || ENGINE.builtin_operator_names().any(|known| known == name);
            if known { unknown_operator(operands) } else { Some(name.as_str()) }
        }),
        _ => None,
    }
}
