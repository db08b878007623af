//! Who changes something, and why: what the histories keep.

use crate::error::{Error, Result};
use axum::Json;
use axum::extract::FromRequestParts;
use http::request::Parts;
use onefold_console::Actor;
use onefold_coordination::Writer;
use onefold_coordination::store::Position;
use serde::Deserialize;
use serde_json::{Value, json};

/// A reason is a sentence or two.
const REASON_CHARACTERS_MAX: usize = 500;

/// Who the console's guard has let through.
pub(super) struct Who(String);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let actor = parts.extensions.get::<Actor>();
        Ok(Self(actor.map_or_else(|| "console".to_owned(), |actor| actor.name.clone())))
    }
}

impl Who {
    /// The writer of a change.
    ///
    /// # Errors
    /// Where the reason is too long.
    pub(super) fn because(self, reason: Option<String>) -> Result<Writer> {
        let reason = reason.filter(|reason| !reason.trim().is_empty());
        if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARACTERS_MAX) {
            let detail = format!("a reason has {REASON_CHARACTERS_MAX} characters at most");
            return Err(Error::invalid("reason", detail));
        }
        Ok(Writer { actor: self.0, reason })
    }
}

/// The body of a way back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    pub(super) revision: i64,
    #[serde(default)]
    pub(super) reason: Option<String>,
}

/// A change is done.
pub(super) fn done() -> Json<Value> {
    Json(json!({ "done": true }))
}

/// A change is done, and in force from this position on.
pub(super) fn in_force(position: Position) -> Json<Value> {
    Json(json!({ "done": true, "revision": position.revision }))
}
