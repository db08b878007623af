//! Finds the kind of an error that came by `?`.

use super::Kind;
use onefold_core::{Class, Classified as _};
use onefold_database::Error as DatabaseError;
use std::error::Error as StdError;

/// The kind of `error`, and what of it a client may read.
pub(super) fn classify(error: &(dyn StdError + 'static)) -> (Kind, Option<String>) {
    match error.downcast_ref::<DatabaseError>() {
        Some(error) => (database(error), None),
        None => (Kind::Internal, None),
    }
}

fn database(error: &DatabaseError) -> Kind {
    match error {
        DatabaseError::NoRow => Kind::NotFound,
        DatabaseError::KeyBusy { .. } => Kind::InProgress,
        DatabaseError::KeyReused => Kind::Invalid { field: "idempotency-key" },
        DatabaseError::Timeout => Kind::Timeout,
        error => match error.class() {
            Class::Conflict => Kind::Conflict,
            Class::Transient => Kind::Unavailable,
            Class::Unknown => Kind::OutcomeUnknown,
            _ => Kind::Internal,
        },
    }
}
