//! flagd's operators for targeting rules: `fractional`, `sem_ver`, `starts_with`, `ends_with`.
//!
//! An attribute which the context does not have makes `sem_ver`, `starts_with` and `ends_with` null, which
//! counts as false, as everywhere in `JSONLogic`. An operand that cannot be right (a version that is none, weights
//! that are no numbers) is an error, and the flag's default variant is served.

use super::bucketing;
use datalogic_rs::bumpalo::Bump;
use datalogic_rs::operator::EvalContext;
use datalogic_rs::{ArenaExt as _, CustomOperator, DataValue, EngineBuilder, Error};
use semver::{BuildMetadata, Version};

type Answer<'a> = Result<&'a DataValue<'a>, Error>;

/// Adds the four operators.
pub(super) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder
        .add_operator("fractional", Fractional)
        .add_operator("sem_ver", SemVer)
        .add_operator("starts_with", Affix("starts_with", |text, affix| text.starts_with(affix)))
        .add_operator("ends_with", Affix("ends_with", |text, affix| text.ends_with(affix)))
}

struct Affix(&'static str, fn(&str, &str) -> bool);

impl CustomOperator for Affix {
    fn evaluate<'a>(
        &self,
        args: &[&'a DataValue<'a>],
        _context: &mut EvalContext<'_, 'a>,
        arena: &'a Bump,
    ) -> Answer<'a> {
        match args {
            [DataValue::Null, _] => Ok(arena.null()),
            [DataValue::String(text), DataValue::String(affix)] => Ok(arena.bool(self.1(text, affix))),
            _ => Err(Error::invalid_arguments(format!("{} takes two texts", self.0))),
        }
    }
}

struct SemVer;

impl CustomOperator for SemVer {
    fn evaluate<'a>(
        &self,
        args: &[&'a DataValue<'a>],
        _context: &mut EvalContext<'_, 'a>,
        arena: &'a Bump,
    ) -> Answer<'a> {
        let [left, DataValue::String(operator), right] = args else {
            return Err(Error::invalid_arguments("sem_ver takes a version, an operator and a version"));
        };
        if left.is_null() {
            return Ok(arena.null());
        }
        let (left, right) = (version(left)?, version(right)?);
        let answer = match *operator {
            "=" => left == right,
            "!=" => left != right,
            "<" => left < right,
            "<=" => left <= right,
            ">" => left > right,
            ">=" => left >= right,
            "^" => left.major == right.major,
            "~" => (left.major, left.minor) == (right.major, right.minor),
            other => {
                return Err(Error::invalid_arguments(format!(
                    "sem_ver knows no operator `{other}`: it is one of = != < <= > >= ^ ~"
                )));
            }
        };
        Ok(arena.bool(answer))
    }
}

/// A version as people write them: `v1.2`, `1`, and numbers; build metadata does not count in a comparison.
fn version(value: &DataValue<'_>) -> Result<Version, Error> {
    let text = match value {
        DataValue::String(text) => (*text).to_owned(),
        DataValue::Number(number) => number.to_string(),
        _ => return Err(Error::invalid_arguments("a version is a text")),
    };
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(&text);
    let core_bytes = bare.find(['-', '+']).unwrap_or(bare.len());
    let (core, rest) = bare.split_at(core_bytes);
    let padding = match core.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    let mut version = Version::parse(&format!("{core}{padding}{rest}"))
        .map_err(|error| Error::invalid_arguments(format!("`{text}` is no version: {error}")))?;
    version.build = BuildMetadata::EMPTY;
    Ok(version)
}

struct Fractional;

impl CustomOperator for Fractional {
    fn evaluate<'a>(
        &self,
        args: &[&'a DataValue<'a>],
        context: &mut EvalContext<'_, 'a>,
        _arena: &'a Bump,
    ) -> Answer<'a> {
        let (key, parts) = match args {
            [DataValue::String(key), parts @ ..] => ((*key).to_owned(), parts),
            // An attribute that is not there falls back to the targeting key, as in flagd.
            [DataValue::Null, parts @ ..] | parts => (targeting_key(context.root_input())?, parts),
        };
        let mut values = Vec::with_capacity(parts.len());
        let mut weights = Vec::with_capacity(parts.len());
        for part in parts {
            let (value, weight) = weighted(part)?;
            values.push(value);
            weights.push(weight);
        }
        bucketing::part(key.as_bytes(), &weights).map(|index| values[index]).ok_or_else(|| {
            Error::invalid_arguments("the weights of fractional sum up to nothing or too much")
        })
    }
}

/// `["variant", weight]`, where a missing weight is 1 and one below zero is 0.
fn weighted<'a>(part: &'a DataValue<'a>) -> Result<(&'a DataValue<'a>, u32), Error> {
    let invalid = || Error::invalid_arguments("each part of fractional is a variant with a whole weight");
    match part.as_array() {
        Some([value]) => Ok((value, 1)),
        Some([value, weight]) => {
            let weight = weight.as_i64().ok_or_else(invalid)?.max(0);
            Ok((value, weight.try_into().map_err(|_| invalid())?))
        }
        _ => Err(invalid()),
    }
}

fn targeting_key(root: &DataValue<'_>) -> Result<String, Error> {
    let flag = root.get("$flagd").and_then(|envelope| envelope.get("flagKey")).and_then(DataValue::as_str);
    match root.get("targetingKey").and_then(DataValue::as_str) {
        Some(key) if !key.is_empty() => Ok(format!("{}{key}", flag.unwrap_or_default())),
        _ => Err(Error::invalid_arguments("fractional has no key: the context names no targetingKey")),
    }
}
