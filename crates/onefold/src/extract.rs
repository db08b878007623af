//! What a handler takes as arguments. Each carries the request's session, deadline and trace, so that a handler
//! never passes them by hand. They read what a layer put into the request, so they work with any router state.

mod cache;
mod db;
mod flags;
mod jobs;
mod locks;
mod request_id;
mod settings;

pub use cache::Cache;
pub use db::Db;
pub use flags::Flags;
pub use jobs::Jobs;
pub use locks::Locks;
pub use request_id::RequestId;
pub use settings::Settings;

use crate::error::{Error, Kind, Result};
use crate::level::{Allowed, LevelPolicy};
use crate::node::Node;
use crate::request::RequestContext;
use axum::extract::FromRequestParts;
use http::request::Parts;
use onefold_database::Session;
use onefold_database::idempotency::Claim;
use std::sync::Arc;

/// What handles of one request or job share.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) node: Arc<Node>,
    pub(crate) session: Session,
    pub(crate) levels: LevelPolicy,
    pub(crate) claim: Option<Claim>,
    /// The targeting key of flags.
    pub(crate) client: Option<String>,
}

impl Context {
    fn of(parts: &Parts) -> Result<Self> {
        let request = request(parts)?;
        let allowed = parts.extensions.get::<Allowed>().cloned().unwrap_or_default();
        Ok(Self {
            node: Arc::clone(&request.node),
            session: request.session.clone(),
            levels: LevelPolicy { asked: request.asked, allowed },
            claim: request.claim.clone(),
            client: request.client.clone(),
        })
    }
}

fn request(parts: &Parts) -> Result<&RequestContext> {
    let missing = || Error::new(Kind::Internal, "Onefold's extractors work in routes given to `App::routes`");
    parts.extensions.get::<RequestContext>().ok_or_else(missing)
}

macro_rules! from_context {
    ($($extractor:ty),+) => {
        $(impl<S: Send + Sync> FromRequestParts<S> for $extractor {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
                Context::of(parts).map(Self::new)
            }
        })+
    };
}

from_context!(Cache, Db, Flags, Jobs, Locks, Settings);
