//! The page: embedded files, served under a path that holds their fingerprint, so that browsers keep them for ever
//! and never mix two builds. They travel compressed to whoever takes that.

mod body;
mod files;

use crate::hex;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use body::{Body, Coding};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// The views, each with a path of its own, so that links lead into them.
const VIEWS: [&str; 9] =
    ["system", "traces", "logs", "metrics", "alerts", "jobs", "flags", "settings", "faults"];
const FOR_EVER: &str = "private, max-age=31536000, immutable";
const INDEX: &str = "index.html";

static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for file in files::ALL {
        hash.update(file.name);
        hash.update([0]);
        hash.update(file.bytes);
    }
    hex::encode(&hash.finalize()[..8])
});

/// The document, with the fingerprint's path in it.
static DOCUMENT: LazyLock<Body> = LazyLock::new(|| Body::new(index().into_bytes()));

/// Every file's content, in the order of the list.
static CONTENTS: LazyLock<Vec<Body>> =
    LazyLock::new(|| files::ALL.iter().map(|file| Body::of(file.bytes)).collect());

/// One embedded file.
#[derive(Debug)]
struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

pub(crate) fn router() -> Router {
    let show = async |headers: HeaderMap| document(&headers);
    let mut router = Router::new().route("/", get(show));
    for view in VIEWS {
        router = router.route(&format!("/{view}"), get(show));
    }
    router
        .route("/traces/{*rest}", get(show))
        .route("/favicon.ico", get(async |headers: HeaderMap| asset(&headers, "icon.svg")))
        .route("/assets/{fingerprint}/{*name}", get(fetch))
}

/// The document with the fingerprint's path before each file that it names.
fn index() -> String {
    let text = files::ALL
        .iter()
        .find(|file| file.name == INDEX)
        .map_or("", |file| std::str::from_utf8(file.bytes).unwrap_or_default());
    let modules = files::ALL.iter().filter(|file| file.kind.starts_with("text/javascript"));
    let preloads: Vec<String> =
        modules.map(|file| format!("<link rel=\"modulepreload\" href=\"@/{}\">", file.name)).collect();
    let assets = format!("/assets/{}", *FINGERPRINT);
    text.replace("<!-- modules -->", &preloads.join("\n")).replace("\"@/", &format!("\"{assets}/"))
}

fn document(headers: &HeaderMap) -> Response {
    let coding = Coding::asked_by(headers);
    // The two are different bytes, and a tag promises the same.
    let tag = |coding| match coding {
        Coding::Plain => format!("\"{}\"", *FINGERPRINT),
        Coding::Gzip => format!("\"{}-gzip\"", *FINGERPRINT),
    };
    let fixed = [
        (header::ETAG, tag(coding)),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag(coding).as_bytes()) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    (fixed, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], DOCUMENT.answer(coding)).into_response()
}

/// A page that outlived its server's build asks for files that are gone: it must load anew, not mix.
async fn fetch(Path((fingerprint, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    if fingerprint == *FINGERPRINT { asset(&headers, &name) } else { StatusCode::GONE.into_response() }
}

fn asset(headers: &HeaderMap, name: &str) -> Response {
    let mut files = files::ALL.iter().zip(&*CONTENTS);
    match files.find(|(file, _)| file.name == name && name != INDEX) {
        Some((file, body)) => {
            let fixed = [
                (header::CONTENT_TYPE, file.kind),
                (header::CACHE_CONTROL, FOR_EVER),
                (header::VARY, "accept-encoding"),
            ];
            (fixed, body.answer(Coding::asked_by(headers))).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
