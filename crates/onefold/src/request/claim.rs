//! The claim of a request that carries an idempotency key.

use crate::error::{Kind, problem, with_status};
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::LengthLimitError;
use onefold_core::header::IDEMPOTENCY_KEY;
use onefold_database::idempotency::Claim;
use sha2::{Digest as _, Sha256};
use std::error::Error as StdError;

const KEY_BYTES_MAX: usize = 255;

/// Reads the key and, where there is one, the body, whose fingerprint tells another request under the same key.
pub(super) async fn read(
    parts: &Parts,
    body: Body,
    client: Option<&str>,
    body_bytes_max: usize,
) -> Result<(Option<Claim>, Body), Response> {
    let Some(key) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok((None, body)) };
    if !matches!(parts.method, Method::POST | Method::PATCH) {
        return Ok((None, body));
    }
    let key = key.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len())).ok_or_else(|| {
        problem(Kind::Malformed, Some("idempotency-key: write 1 to 255 visible ASCII characters"))
    })?;
    let body = to_bytes(body, body_bytes_max).await.map_err(|error| unreadable(&error))?;
    let fingerprint = Sha256::new_with_prefix(parts.uri.to_string()).chain_update([0]).chain_update(&body);
    let scope = format!("{} {} {}", principal(&parts.headers, client), parts.method, parts.uri.path());
    let claim = Claim { scope, key: key.to_owned(), fingerprint: fingerprint.finalize().to_vec() };
    Ok((Some(claim), body.into()))
}

fn unreadable(error: &axum::Error) -> Response {
    let is_too_large = error.source().is_some_and(<dyn StdError>::is::<LengthLimitError>);
    if is_too_large {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return with_status(
            status,
            "Payload Too Large",
            Some("the body is larger than this application takes"),
            None,
        );
    }
    problem(Kind::Malformed, Some("the body broke off"))
}

/// Whose key it is: two clients may use the same. Credentials are not stored, only their digest.
fn principal(headers: &HeaderMap, client: Option<&str>) -> String {
    match (client, headers.get(header::AUTHORIZATION)) {
        (Some(client), _) => client.to_owned(),
        (None, Some(credentials)) => {
            let digest = Sha256::digest(credentials.as_bytes());
            format!("{:032x}", u128::from_be_bytes(std::array::from_fn(|i| digest[i])))
        }
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_too_large_is_told_from_one_that_broke_off() {
        let request = http::Request::post("/links").header(IDEMPOTENCY_KEY, "k").body(()).unwrap();
        let parts = request.into_parts().0;
        let refused = read(&parts, Body::from("12345"), None, 4).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let broken = unreadable(&axum::Error::new(std::io::Error::other("reset")));
        assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
        assert!(read(&parts, Body::from("1234"), None, 4).await.unwrap().0.is_some());
    }
}
