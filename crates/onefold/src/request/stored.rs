//! An answer as it is kept under an idempotency key: a line of JSON for its head, then its body as it was.

use crate::error::{Error, Kind, Result};
use axum::body::to_bytes;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// The largest body that is kept, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

/// Splits an answer into itself and what is kept of it.
pub(crate) async fn keep(answer: Response) -> Result<(Response, Vec<u8>)> {
    let (parts, body) = answer.into_parts();
    let too_large = |_| Error::new(Kind::Internal, "an answer under an idempotency key may have 256 KiB");
    let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(too_large)?;
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    let head =
        Head { status: parts.status.as_u16(), headers: parts.headers.iter().filter_map(text).collect() };
    let mut kept = serde_json::to_vec(&head)?;
    kept.push(b'\n');
    kept.extend_from_slice(&body);
    Ok((Response::from_parts(parts, body.into()), kept))
}

/// The answer again.
pub(crate) fn restore(kept: &[u8]) -> Result<Response> {
    let malformed = || Error::new(Kind::Internal, "the stored answer is not one of ours");
    let end = kept.iter().position(|byte| *byte == b'\n').ok_or_else(malformed)?;
    let head: Head = serde_json::from_slice(&kept[..end])?;
    let mut response = Response::new(kept[end + 1..].to_vec().into());
    *response.status_mut() = StatusCode::from_u16(head.status)?;
    for (name, value) in head.headers {
        response.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;

    #[tokio::test]
    async fn an_answer_is_the_same_again() {
        let answer = (StatusCode::CREATED, [("x-a", "1"), ("x-b", "2")], "line\nline").into_response();
        let (answer, kept) = keep(answer).await.unwrap();
        let again = restore(&kept).unwrap();
        assert_eq!((again.status(), again.headers()), (answer.status(), answer.headers()));
        let body = |response: Response| to_bytes(response.into_body(), 100);
        assert_eq!(body(again).await.unwrap(), body(answer).await.unwrap());
    }
}
