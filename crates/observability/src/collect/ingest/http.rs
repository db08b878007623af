//! OTLP over HTTP: `POST /v1/traces`, in protobuf or JSON; answers come in what the request came in.

use super::answer::{RETRY_AFTER_S, Refusal};
use super::body::{self, Encoding, Share};
use super::{Accepted, Ingest, Signal};
use crate::otlp::logs::LogsData;
use crate::otlp::metrics::MetricsData;
use crate::otlp::trace::TracesData;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use prost::Message as _;
use serde::de::DeserializeOwned;

/// What a request is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        match essence {
            _ if essence.eq_ignore_ascii_case("application/x-protobuf") => Some(Self::Protobuf),
            _ if essence.eq_ignore_ascii_case("application/json") => Some(Self::Json),
            _ => None,
        }
    }

    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

/// Answers one request.
pub(super) async fn answer<B>(ingest: &Ingest, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let format = Format::of(request.headers());
    match export(ingest, request, format).await {
        Ok((signal, accepted)) => {
            let json = format == Some(Format::Json);
            let body = if json { accepted.to_json(signal) } else { accepted.to_protobuf() };
            respond(StatusCode::OK, format.unwrap_or(Format::Protobuf), body)
        }
        Err(refusal) => refuse(&refusal, format),
    }
}

async fn export<B>(
    ingest: &Ingest,
    request: Request<B>,
    format: Option<Format>,
) -> Result<(Signal, Accepted), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let signal = Signal::of_http(head.uri.path()).ok_or(Refusal::NoService)?;
    if head.method != Method::POST {
        return Err(Refusal::NoMethod);
    }
    ingest.admit(&head.headers)?;
    let unsupported =
        Refusal::Unsupported("the content type must be application/x-protobuf or application/json");
    let format = format.ok_or(unsupported)?;
    let encoding = Encoding::of(head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
    let mut share = ingest.budget.share();
    let bytes_max = ingest.config.message_bytes_max;
    let packed = body::read(body, bytes_max, ingest.config.request_timeout, &mut share).await?;
    let ingest = ingest.clone();
    let accepted = super::serve::apart(packed.len(), move || {
        let mut share: Share = share;
        let plain = body::inflate(packed, encoding, bytes_max, &mut share)?;
        let protobuf = if format == Format::Json { protobuf_of(signal, &plain)? } else { plain };
        ingest.take(signal, &protobuf)
    });
    Ok((signal, accepted.await?))
}

/// The same request in protobuf, so that there is one way in.
fn protobuf_of(signal: Signal, json: &[u8]) -> Result<Bytes, Refusal> {
    fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Refusal> {
        serde_json::from_slice(json).map_err(|error| Refusal::malformed(&error))
    }
    Ok(match signal {
        Signal::Traces => read::<TracesData>(json)?.encode_to_vec(),
        Signal::Metrics => read::<MetricsData>(json)?.encode_to_vec(),
        Signal::Logs => read::<LogsData>(json)?.encode_to_vec(),
    }
    .into())
}

fn refuse(refusal: &Refusal, format: Option<Format>) -> Response<Full<Bytes>> {
    let format = format.unwrap_or(Format::Json);
    let body = if format == Format::Json { refusal.to_json() } else { refusal.to_protobuf() };
    let mut response = respond(refusal.status(), format, body);

    let hint = match refusal {
        Refusal::Busy => Some((RETRY_AFTER, RETRY_AFTER_S.into())),
        Refusal::NoMethod => Some((ALLOW, HeaderValue::from_static("POST"))),
        Refusal::Unsupported(_) => Some((ACCEPT_ENCODING, HeaderValue::from_static("gzip"))),
        Refusal::Unauthenticated => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        _ => None,
    };
    response.headers_mut().extend(hint);
    response
}

fn respond(status: StatusCode, format: Format, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, format.name());
    response
}
