//! What every request must pass, before anybody asks who sent it: it names this console as its host, and no foreign
//! page is behind it. Every answer leaves with the headers that tie the browser's hands.

mod headers;
mod host;
mod origin;

use crate::console::Shared;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

pub(crate) use host::Hosts;

pub(crate) async fn gate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let checked = shared.hosts.check(&request).and_then(|host| origin::check(&request, &host));
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            tracing::debug!(status = problem.status.as_u16(), "request refused at the console's gate");
            problem.into_response()
        }
    };
    headers::set(response.headers_mut(), shared.config.tls.is_some());
    response
}
