//! A link: what a request may ask for, what the table holds, what a response shows.

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, Uri, header, request::Parts};
use chrono::{DateTime, Utc};
use onefold::prelude::*;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use uuid::Uuid;

const URL_BYTES_MAX: usize = 2048;
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 4..=32;
const RESERVED: &[&str] = &["links"];
const EXPIRES_IN_SECONDS_MAX: u32 = 10 * 366 * 24 * 3600;
const LIMIT: i64 = 20;

/// A short code: 4 to 32 of `[A-Za-z0-9_-]`, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Code(String);

impl Code {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Eight letters and digits: 2·10¹⁴ codes, too many to guess through.
    pub(crate) fn random() -> Self {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let bytes = *Uuid::new_v4().as_bytes();
        // A UUID's version and variant stand in its bytes 6 and 8; the others are random as a whole.
        let random = bytes[..6].iter().chain(&bytes[9..]);
        Self(
            random
                .filter(|b| **b < 248) // four times 62: each letter is as likely
                .chain(&[7; 8])
                .take(8)
                .map(|b| char::from(ALPHABET[usize::from(b % 62)]))
                .collect(),
        )
    }

    fn checked(self) -> Result<Self> {
        let fits = CODE_LENGTH.contains(&self.0.len())
            && self.0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !fits {
            return Err(Error::invalid("code", "write 4 to 32 of A-Z, a-z, 0-9, _ and -"));
        }
        if RESERVED.contains(&self.0.as_str()) {
            return Err(Error::invalid("code", format!("`{self}` is reserved; choose another")));
        }
        Ok(self)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `POST /links` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLink {
    url: String,
    code: Option<Code>,
    expires_in: Option<u32>,
}

/// A new link that may be stored.
pub(crate) struct Checked {
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) code: Option<Code>,
    pub(crate) expires_in_seconds: Option<f64>,
}

impl NewLink {
    pub(crate) fn checked(self) -> Result<Checked> {
        let host = host_of(&self.url)?;
        if self.expires_in.is_some_and(|seconds| seconds == 0 || seconds > EXPIRES_IN_SECONDS_MAX) {
            return Err(Error::invalid("expires_in", "write 1 second to 10 years, in seconds"));
        }
        let code = self.code.map(Code::checked).transpose()?;
        Ok(Checked { url: self.url, host, code, expires_in_seconds: self.expires_in.map(f64::from) })
    }
}

/// What `PATCH /links/{code}` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTarget {
    url: String,
}

impl NewTarget {
    pub(crate) fn checked(self) -> Result<String> {
        host_of(&self.url)?;
        Ok(self.url)
    }
}

/// The host of a public URL, or what is wrong with it.
fn host_of(url: &str) -> Result<String> {
    let refuse = |why: &str| Err(Error::invalid("url", why));
    if url.len() > URL_BYTES_MAX {
        return refuse("is longer than 2048 bytes");
    }
    if !url.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse("holds a space, a control character or a letter beyond ASCII; percent-encode it");
    }
    let Ok(uri) = url.parse::<Uri>() else {
        return refuse("is no URL; write it as https://example.com/path");
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return refuse("begins with neither http:// nor https://");
    }
    let Some(authority) = uri.authority() else { return refuse("names no host") };
    if authority.as_str().contains('@') {
        return refuse("holds credentials; leave them out");
    }
    if authority.host().is_empty() {
        return refuse("names no host");
    }
    Ok(authority.host().to_ascii_lowercase())
}

/// A stored link.
#[derive(FromRow)]
pub(crate) struct Link {
    id: i64,
    pub(crate) code: String,
    url: String,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// What the cache holds of a link.
#[derive(Clone, Serialize, Deserialize, FromRow)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// A link as a response shows it.
#[derive(Serialize)]
pub(crate) struct Shown {
    code: String,
    url: String,
    short_url: String,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// Where the client reached us: the beginning of every short URL.
pub(crate) struct Base(String);

impl Base {
    pub(crate) fn show(&self, link: Link) -> Shown {
        let short_url = format!("{}/{}", self.0, link.code);
        Shown {
            code: link.code,
            url: link.url,
            short_url,
            expires_at: link.expires_at,
            created_at: link.created_at,
        }
    }

    pub(crate) fn show_page(&self, rows: Vec<Link>, limit: i64) -> ShownPage {
        let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == limit);
        let next = rows.last().filter(|_| is_full).map(|link| link.id.to_string());
        ShownPage { links: rows.into_iter().map(|link| self.show(link)).collect(), next }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let of = |name| text(&parts.headers, name);
        let host = of("x-forwarded-host").or(of(header::HOST.as_str())).unwrap_or("localhost");
        let scheme = of("x-forwarded-proto").unwrap_or("http");
        Ok(Self(format!("{scheme}://{host}")))
    }
}

/// A header's value, where it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Which page of the list is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    after: Option<String>,
    limit: Option<i64>,
}

impl Page {
    pub(crate) fn checked(self, limit_max: i64) -> Result<(Option<i64>, i64)> {
        let limit = self.limit.unwrap_or_else(|| LIMIT.min(limit_max));
        if !(1..=limit_max).contains(&limit) {
            return Err(Error::invalid("limit", format!("write 1 to {limit_max}")));
        }
        let after = self.after.map(|after| after.parse()).transpose();
        Ok((after.map_err(|_| Error::invalid("after", "is no `next` of an earlier page"))?, limit))
    }
}

/// A page of links, newest first.
#[derive(Serialize)]
pub(crate) struct ShownPage {
    links: Vec<Shown>,
    next: Option<String>,
}

/// A page that shows where a link leads, instead of going there.
pub(crate) fn preview(url: &str) -> String {
    let url = url.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Preview</title>\
         <p>This link leads to <a rel=\"noreferrer nofollow\" href=\"{url}\">{url}</a>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> bool {
        host_of(url).is_err()
    }

    #[test]
    fn only_public_urls_are_targets() {
        assert_eq!(host_of("https://Example.com/a?b=c#d").unwrap(), "example.com");
        for url in [
            "",
            "example.com",
            "/path",
            "javascript:alert(1)",
            "ftp://example.com",
            "https://",
            "https://a b",
        ] {
            assert!(refused(url), "{url}");
        }
        assert!(refused("https://user:secret@example.com/"));
        assert!(refused(&format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX))));
    }

    #[test]
    fn codes_are_checked_and_random_ones_fit() {
        assert!(Code("links".into()).checked().is_err());
        assert!(Code("abc".into()).checked().is_err());
        assert!(Code("a b c".into()).checked().is_err());
        for _ in 0..1000 {
            let code = Code::random();
            assert_eq!(code.as_str().len(), 8);
            code.checked().unwrap();
        }
    }

    #[test]
    fn a_preview_holds_no_markup_of_the_target() {
        assert!(!preview("https://example.com/\"><script>").contains("<script>"));
    }
}
