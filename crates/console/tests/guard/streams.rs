//! Event streams end with the session that they were opened under.

use crate::{Fixture, HOST};
use axum::body::Body;
use axum::http::{Request, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use onefold_console::{Access, Read};
use std::time::Duration;
use tower::ServiceExt as _;

/// Says one thing, and then nothing for ever.
pub(crate) async fn endless() -> Response {
    let first = futures_util::stream::once(async { Ok::<_, std::io::Error>("data: {}\n\n") });
    let body = Body::from_stream(first.chain(futures_util::stream::pending()));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

#[tokio::test]
async fn logout_ends_the_sessions_streams() {
    let fixture = Fixture::new(Read::Token);
    let (cookie, csrf) = fixture.session(Access::View).await;
    let request = Request::get("/api/events").header("host", HOST).header("cookie", &cookie);
    let response = fixture.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    assert!(stream.next().await.is_some());
    let still_open = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
    assert!(still_open.is_err(), "the stream ended by itself");
    fixture.send("DELETE", "/api/session", &[("cookie", &cookie), ("onefold-csrf", &csrf)], "").await;
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
    assert!(ended.expect("the stream outlived its session").is_none());
}
