//! The application without a platform: an axum handler that redirects from an in-process cache, and no more.

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use quick_cache::sync::Cache;
use std::sync::Arc;

type Targets = Arc<Cache<String, Arc<str>>>;

/// Serves `GET /{code}` for one code that is in the cache, for ever.
pub(crate) async fn serve(port: u16, code: &str, target: &str) -> Result<()> {
    let targets: Targets = Arc::new(Cache::new(10_000));
    targets.insert(code.to_owned(), target.into());
    let routes = Router::new()
        .route("/readyz", get(StatusCode::NO_CONTENT))
        .route("/{code}", get(follow))
        .with_state(targets);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.context("listen")?;
    axum::serve(listener, routes).await.context("serve")
}

async fn follow(State(targets): State<Targets>, Path(code): Path<String>) -> Response {
    match targets.get(code.as_str()) {
        Some(target) => (StatusCode::FOUND, [(header::LOCATION, &*target)]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
