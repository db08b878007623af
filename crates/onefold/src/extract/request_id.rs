//! The request's id.

use super::request;
use crate::error::{Error, Result};
use axum::extract::FromRequestParts;
use http::request::Parts;
use uuid::Uuid;

/// The request's id. A retry of the balancer's carries the same one, so what is recorded under it is recorded
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(Uuid);

impl RequestId {
    /// The id; one derived from it, where the client's own was no UUID.
    pub fn id(self) -> Uuid {
        self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self(request(parts)?.request_id))
    }
}
