//! What an evaluation answers, in `OpenFeature`'s words.

use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A value with the way it was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details<V> {
    /// The value.
    pub value: V,
    /// The variant's name; none where the code's default is served.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "variant_text")]
    pub variant: Option<Arc<str>>,
    /// How it was chosen.
    pub reason: Reason,
    /// What was wrong, where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<ErrorCode>,
    /// The same in words, also where a flag's last good version stands in for a broken one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a value was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The flag has no rule: everybody gets its default variant.
    Static,
    /// A rule chose the variant.
    TargetingMatch,
    /// The rule chose nothing, so the default variant, or the code's default, is served.
    Default,
    /// The flag is switched off: the code's default is served.
    Disabled,
    /// Something was wrong: the code's default is served.
    Error,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// No such flag is stored.
    FlagNotFound,
    /// The stored flag is broken, and no good version of it is known here.
    ParseError,
    /// The variant's value is of another type than the code's.
    TypeMismatch,
    /// The rule names a variant which the flag does not have.
    General,
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn variant_text<S: Serializer>(variant: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    variant.as_deref().serialize(serializer)
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Static => "STATIC",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Default => "DEFAULT",
            Self::Disabled => "DISABLED",
            Self::Error => "ERROR",
        })
    }
}

impl<V> Details<V> {
    pub(super) fn chosen(value: V, variant: &Arc<str>, reason: Reason) -> Self {
        Self { value, variant: Some(variant.clone()), reason, error_code: None, message: None }
    }

    pub(super) fn code_default(value: V, reason: Reason) -> Self {
        Self { value, variant: None, reason, error_code: None, message: None }
    }

    pub(super) fn failed(value: V, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            value,
            variant: None,
            reason: Reason::Error,
            error_code: Some(code),
            message: Some(message.into()),
        }
    }

    pub(super) fn with_message(mut self, message: Option<String>) -> Self {
        self.message = message.or(self.message);
        self
    }
}
