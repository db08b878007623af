//! The two doors behind the gate: one for reads, one for changes.

use super::Shared;
use crate::config::Read;
use crate::credential::{Credential, sender};
use crate::problem::Problem;
use crate::session::Session;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use std::sync::Arc;

/// Reads: everybody where they are open, else who may view.
pub(super) async fn read(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let credential = Credential::of(&request, &shared)?;
    if let Some(actor) = credential.actor() {
        request.extensions_mut().insert(actor);
    } else if shared.config.read == Read::Token {
        return Err(Problem::unauthorized("log in, or send `authorization: Bearer TOKEN`"));
    }
    let response = next.run(request).await;
    Ok(match credential {
        Credential::Session(session) if shared.config.read == Read::Token => {
            ending_with(response, session, &shared)
        }
        _ => response,
    })
}

/// Changes: who may operate; recorded with their outcome, refusals of known actors too.
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let credential = Credential::of(&request, &shared)?;
    let (from, method, path) = (sender(&request), request.method().clone(), request.uri().path().to_owned());
    let response = match credential.may_change(request.headers()) {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    if let Some(actor) = credential.actor() {
        shared.audit.record(&actor, from, method.as_str(), &path, response.status().as_u16());
    }
    Ok(response)
}

/// An event stream lasts no longer than the session that it was opened under.
fn ending_with(response: Response, session: Session, shared: &Shared) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_none_or(|kind| !kind.starts_with("text/event-stream")) {
        return response;
    }
    let left = session.expires.saturating_duration_since(shared.clock.now());
    let ended = async move {
        // Both ways of ending are the same to the stream.
        let _ = tokio::time::timeout(left, session.ended.cancelled()).await;
    };
    let (head, body) = response.into_parts();
    Response::from_parts(head, Body::from_stream(body.into_data_stream().take_until(Box::pin(ended))))
}
