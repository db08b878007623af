//! Which field of the input a rejection of axum's extractors speaks of. Their text is all that is left of them once
//! they are a response; the tests hold it against axum's own.

/// How a rejection of a body or query that does not fit its type begins. One that cannot be parsed at all has no field.
const BEGINNINGS: [&str; 4] = [
    "Failed to deserialize the JSON body into the target type: ",
    "Failed to deserialize query string: ",
    "Failed to deserialize form: ",
    "Failed to deserialize form body: ",
];

/// What serde says of a field that the path does not lead to.
const ABOUT: [&str; 3] = ["missing field `", "unknown field `", "duplicate field `"];

/// The field's path, as in `items[2].url`.
pub(super) fn field(text: &str) -> Option<String> {
    let said = BEGINNINGS.iter().find_map(|beginning| text.strip_prefix(beginning))?;
    let (path, message) = said.split_once(": ").filter(|(path, _)| is_path(path)).unwrap_or(("", said));
    let named = ABOUT.iter().find_map(|about| message.strip_prefix(about)?.split('`').next());
    match named {
        Some(name) if path.is_empty() || path == name => Some(name.to_owned()),
        Some(name) if path.ends_with(&format!(".{name}")) => Some(path.to_owned()),
        Some(name) => Some(format!("{path}.{name}")),
        None => Some(path.to_owned()).filter(|path| !path.is_empty()),
    }
}

/// A message of serde's has spaces; a path has none unless a client's key has.
fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Json;
    use axum::extract::{FromRequest as _, Query};
    use axum::response::IntoResponse as _;
    use http::{Request, Uri};
    use serde::Deserialize;

    #[expect(dead_code, reason = "it is only read")]
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        url: String,
        mode: Option<Mode>,
        items: Option<Vec<Item>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
    }

    #[expect(dead_code, reason = "it is only read")]
    #[derive(Debug, Deserialize)]
    struct Item {
        count: u8,
    }

    async fn text(response: axum::response::Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_misfit_of_a_body_names_its_field() {
        let cases = [
            (r#"{"url": 5}"#, Some("url")),
            ("{}", Some("url")),
            (r#"{"url": "a", "mode": "slow"}"#, Some("mode")),
            (r#"{"url": "a", "speed": 1}"#, Some("speed")),
            (r#"{"url": "a", "items": [{"count": 1}, {"count": -1}]}"#, Some("items[1].count")),
            (r#"{"url": "a", "items": [{}]}"#, Some("items[0].count")),
            (r#"{"url": "a", "url": "b"}"#, Some("url")),
            ("[]", None),
            ("5", None),
            ("{", None),
        ];
        for (body, expected) in cases {
            let request = Request::post("/").header("content-type", "application/json");
            let request = request.body(axum::body::Body::from(body)).unwrap();
            let rejection = Json::<Order>::from_request(request, &()).await.unwrap_err();
            let text = text(rejection.into_response()).await;
            assert_eq!(field(&text).as_deref(), expected, "{body}: {text}");
        }
    }

    #[tokio::test]
    async fn a_query_names_its_field_too() {
        for (uri, expected) in [("/?count=300", "count"), ("/?count=", "count"), ("/", "count")] {
            let rejection = Query::<Item>::try_from_uri(&Uri::from_static(uri)).unwrap_err();
            let text = text(rejection.into_response()).await;
            assert_eq!(field(&text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(field("the page is full: try later"), None);
    }
}
