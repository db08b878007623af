//! Finds the kind of an error that came by `?`.

use super::Kind;
use onefold_core::{Class, Classified};
use onefold_database::Error as DatabaseError;
use onefold_database::tokio_postgres::error::SqlState;
use std::error::Error as StdError;

/// The kind of `error`, and what of it a client may read: nothing, since no tier's text is made for clients.
pub(super) fn classify(error: &(dyn StdError + 'static)) -> (Kind, Option<String>) {
    let kind = if let Some(error) = error.downcast_ref::<DatabaseError>() {
        database(error)
    } else if let Some(error) = error.downcast_ref::<onefold_queue::Error>() {
        queue(error)
    } else if let Some(error) = error.downcast_ref::<onefold_coordination::Error>() {
        of_class(error)
    } else {
        Kind::Internal
    };
    (kind, None)
}

fn database(error: &DatabaseError) -> Kind {
    match error {
        DatabaseError::NoRow => Kind::NotFound,
        DatabaseError::KeyBusy { .. } => Kind::InProgress,
        DatabaseError::KeyReused => Kind::Invalid { field: "idempotency-key" },
        DatabaseError::Timeout => Kind::Timeout,
        // A NUL in a parameter: no text of Postgres' holds one, and only input brings it.
        error if error.code() == Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) => Kind::Malformed,
        error => of_class(error),
    }
}

fn queue(error: &onefold_queue::Error) -> Kind {
    match error {
        onefold_queue::Error::Database(error) => database(error),
        error => of_class(error),
    }
}

fn of_class(error: &impl Classified) -> Kind {
    match error.class() {
        Class::Conflict | Class::LeaseLost => Kind::Conflict,
        Class::Transient => Kind::Unavailable,
        Class::Unknown => Kind::OutcomeUnknown,
        Class::Permanent | Class::Bug => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_coordination::Error as CoordinationError;
    use onefold_queue::Error as QueueError;

    fn kind(error: impl StdError + Send + Sync + 'static) -> Kind {
        crate::Error::from(error).kind()
    }

    #[test]
    fn every_tier_s_errors_find_their_kind() {
        assert_eq!(kind(DatabaseError::NoRow), Kind::NotFound);
        assert_eq!(kind(DatabaseError::Unavailable("primary")), Kind::Unavailable);
        assert_eq!(kind(DatabaseError::MaybeCommitted), Kind::OutcomeUnknown);
        assert_eq!(kind(QueueError::Database(DatabaseError::Timeout)), Kind::Timeout);
        assert_eq!(kind(QueueError::UnknownKind("click.v1".to_owned())), Kind::Internal);
        assert_eq!(kind(CoordinationError::Away("no primary".to_owned())), Kind::Unavailable);
        assert_eq!(kind(CoordinationError::Unknown("lost".to_owned())), Kind::OutcomeUnknown);
        assert_eq!(kind(CoordinationError::LeaseLost { name: "purge".to_owned() }), Kind::Conflict);
        assert_eq!(kind(std::fmt::Error), Kind::Internal);
    }
}
