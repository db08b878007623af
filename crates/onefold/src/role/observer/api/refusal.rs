//! What the tiers refuse, as people at the console are told it: they may read what a client of the application
//! may not.

use crate::error::{Error, Kind};
use onefold_coordination::Error as Coordination;
use onefold_core::{Class, Classified as _};

/// A refusal of the configuration service; `field` is what of the request it is about.
pub(super) fn coordination(field: &'static str) -> impl Fn(Coordination) -> Error {
    move |error| {
        let kind = match &error {
            Coordination::NotFound { .. } => Kind::NotFound,
            Coordination::Invalid { .. } => Kind::Invalid { field },
            other => match other.class() {
                Class::Transient => Kind::Unavailable,
                Class::Unknown => Kind::OutcomeUnknown,
                Class::Conflict | Class::LeaseLost => Kind::Conflict,
                Class::Permanent | Class::Bug => Kind::Internal,
            },
        };
        Error::new(kind, error.to_string())
    }
}
