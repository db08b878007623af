//! Whether a foreign page is behind a request, by what the browser says of it: `Origin` and Fetch Metadata.

use crate::problem::Problem;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};

const SITE: &str = "sec-fetch-site";
const MODE: &str = "sec-fetch-mode";
const DEST: &str = "sec-fetch-dest";

/// Lets our own page and programs pass, and a link to the page from elsewhere; nothing else.
pub(super) fn check(request: &Request, host: &str) -> Result<(), Problem> {
    let headers = request.headers();
    if let Some(origin) = headers.get("origin") {
        let ours = origin.to_str().is_ok_and(|origin| is_ours(origin, host));
        if !ours {
            return Err(Problem::forbidden("the request comes from another page's origin"));
        }
    }
    match text(headers, SITE) {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) if is_link_to_page(request) => Ok(()),
        Some(_) => Err(Problem::forbidden("the request was started by another site")),
    }
}

fn is_ours(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn is_link_to_page(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && !request.uri().path().starts_with("/api/")
        && text(headers, MODE) == Some("navigate")
        && text(headers, DEST) == Some("document")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn passes(method: &str, path: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(Body::empty()).unwrap(), "localhost:8500").is_ok()
    }

    #[test]
    fn our_page_and_programs_pass() {
        assert!(passes("GET", "/api/topology", &[]));
        assert!(passes("PUT", "/api/flags/a", &[("origin", "http://localhost:8500"), (SITE, "same-origin")]));
        assert!(passes("GET", "/", &[(SITE, "none")]));
    }

    #[test]
    fn other_origins_fail_be_it_the_port_alone_that_differs() {
        for origin in [
            "http://evil.example",
            "null",
            "http://localhost:8080",
            "http://localhost",
            "file://localhost:8500",
            "",
        ] {
            assert!(!passes("GET", "/api/topology", &[("origin", origin)]), "{origin}");
            assert!(!passes("PUT", "/api/flags/a", &[("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn from_other_sites_only_a_link_to_the_page_passes() {
        let navigation = [(SITE, "cross-site"), (MODE, "navigate"), (DEST, "document")];
        assert!(passes("GET", "/traces", &navigation));
        assert!(!passes("POST", "/traces", &navigation));
        assert!(!passes("GET", "/api/traces", &navigation));
        assert!(!passes("GET", "/traces", &[(SITE, "cross-site"), (MODE, "navigate"), (DEST, "iframe")]));
        assert!(!passes("GET", "/api/traces", &[(SITE, "same-site"), (MODE, "cors")]));
        assert!(!passes(
            "GET",
            "/assets/x/app.js",
            &[(SITE, "cross-site"), (MODE, "no-cors"), (DEST, "script")]
        ));
    }
}
