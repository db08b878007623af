//! A file's bytes as they are and as gzip, which is made once, when it is first asked for.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::sync::OnceLock;

/// Below this, a packet carries it either way.
const PACKED_BYTES_MIN: usize = 1024;

/// How a content travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
}

/// One content.
#[derive(Debug)]
pub(super) struct Body {
    plain: Bytes,
    /// None inside: it is not worth it.
    packed: OnceLock<Option<Bytes>>,
}

impl Coding {
    /// Gzip, where the client names it and does not refuse it.
    pub(super) fn asked_by(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let takes = |coding: &str| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map(str::parse::<f32>);
            name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight, Some(Ok(0.0) | Err(_)))
        };
        if lines.flat_map(|line| line.split(',')).any(takes) { Self::Gzip } else { Self::Plain }
    }
}

impl Body {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { plain: bytes.into(), packed: OnceLock::new() }
    }

    pub(super) fn of(bytes: &'static [u8]) -> Self {
        Self { plain: Bytes::from_static(bytes), packed: OnceLock::new() }
    }

    /// As it travels in this coding, or as it is where packing gains nothing.
    pub(super) fn answer(&self, coding: Coding) -> Response {
        let packed = match coding {
            Coding::Plain => None,
            Coding::Gzip => self.packed.get_or_init(|| pack(&self.plain)).clone(),
        };
        let Some(packed) = packed else { return self.plain.clone().into_response() };
        let mut response = packed.into_response();
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    }
}

fn pack(plain: &[u8]) -> Option<Bytes> {
    if plain.len() < PACKED_BYTES_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < plain.len()).then(|| packed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_gzip_where_it_takes_it() {
        let asked = |value: &'static str| {
            Coding::asked_by(&HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(value),
            )]))
        };
        for takes in ["gzip", "br, GZIP;q=0.5", "deflate, gzip ; q=1.0, br"] {
            assert_eq!(asked(takes), Coding::Gzip, "{takes}");
        }
        for refuses in ["", "br", "gzip;q=0", "gzip;q=0.000", "gzip;q=x", "xgzip"] {
            assert_eq!(asked(refuses), Coding::Plain, "{refuses}");
        }
        assert_eq!(Coding::asked_by(&HeaderMap::new()), Coding::Plain);
    }
}
