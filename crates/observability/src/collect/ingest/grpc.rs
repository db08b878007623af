//! OTLP over gRPC: one method of each service, one message each way.
//!
//! A message is a flag, its length in four bytes, and its bytes; the status stands in the trailers, or in the
//! headers of an answer without a message.

use super::answer::Refusal;
use super::body::{self, Encoding, Share};
use super::{Accepted, Ingest, Signal};
use base64::Engine as _;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use std::convert::Infallible;

/// What an answer is made of: a message, then trailers; or nothing.
pub(super) type Frames =
    StreamBody<futures_util::stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 2>>>;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const CONTENT: HeaderValue = HeaderValue::from_static("application/grpc");
/// Flag and length before each message.
const PREFIX: usize = 5;

/// Whether a request is one of gRPC.
pub(super) fn speaks(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Answers one request.
pub(super) async fn answer<B>(ingest: &Ingest, request: Request<B>) -> Response<Frames>
where
    B: Body<Data = Bytes> + Unpin,
{
    let exported = export(ingest, request).await;
    let mut trailers = HeaderMap::new();
    let mut message = BytesMut::new();
    match &exported {
        Ok(accepted) => {
            let response = accepted.to_protobuf();
            message.put_u8(0);
            message.put_u32(u32::try_from(response.len()).unwrap_or_default());
            message.extend_from_slice(&response);
            trailers.insert(STATUS, HeaderValue::from_static("0"));
        }
        Err(refusal) => refuse(refusal, &mut trailers),
    }
    let frames = [Ok(Frame::data(message.freeze())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    response.headers_mut().insert(CONTENT_TYPE, CONTENT);
    response.headers_mut().insert(ACCEPT, HeaderValue::from_static("identity,gzip"));
    response
}

fn refuse(refusal: &Refusal, trailers: &mut HeaderMap) {
    trailers.insert(STATUS, u16::from(refusal.code()).into());
    // Our messages are printable ASCII; what a decoder says of foreign bytes may not be.
    let message: String = refusal.message().chars().map(printable).collect();
    trailers.extend(HeaderValue::try_from(message).ok().map(|message| (MESSAGE, message)));
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(refusal.to_protobuf());
    trailers.extend(HeaderValue::try_from(details).ok().map(|details| (DETAILS, details)));
}

/// A percent sign would begin an escape.
fn printable(letter: char) -> char {
    if matches!(letter, ' '..='~') && letter != '%' { letter } else { '?' }
}

async fn export<B>(ingest: &Ingest, request: Request<B>) -> Result<Accepted, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let signal = Signal::of_grpc(head.uri.path()).ok_or(Refusal::NoService)?;
    ingest.admit(&head.headers)?;
    let encoding = Encoding::of(head.headers.get(ENCODING).map(HeaderValue::as_bytes))?;
    let mut share = ingest.budget.share();
    let bytes_max = ingest.config.message_bytes_max;
    let framed = body::read(body, bytes_max + PREFIX, ingest.config.request_timeout, &mut share).await?;
    let (packed, flag) = message(framed)?;
    let encoding = if flag == 1 { encoding } else { Encoding::Plain };
    let ingest = ingest.clone();
    super::serve::apart(packed.len(), move || {
        let mut share: Share = share;
        let plain = body::inflate(packed, encoding, bytes_max, &mut share)?;
        ingest.take(signal, &plain)
    })
    .await
}

/// The one message of a request, and whether it is packed.
fn message(mut framed: Bytes) -> Result<(Bytes, u8), Refusal> {
    let wrong = |why: &str| Refusal::Malformed(why.to_owned());
    if framed.len() < PREFIX {
        return Err(wrong("there is no message"));
    }
    let (flag, length) = (framed.get_u8(), framed.get_u32());
    if flag > 1 {
        return Err(wrong("the flag of the message is unknown"));
    }
    if usize::try_from(length) != Ok(framed.len()) {
        return Err(wrong("the length of the message is wrong"));
    }
    Ok((framed, flag))
}
