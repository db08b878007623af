//! gRPC's frames: messages, each behind its length, and the status behind them.

use super::channel::{Failure, Refusal};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// One message's most bytes: etcd takes 1.5 MiB in one request, and a listing holds what all of them left.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

pub(super) const GRPC_STATUS: &str = "grpc-status";

/// The messages of an answer, one after the other.
#[derive(Debug)]
pub(super) struct Frames {
    body: Incoming,
    buffer: BytesMut,
    trailers: Option<HeaderMap>,
}

impl Frames {
    pub(super) fn of(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), trailers: None }
    }

    /// What stood behind the messages, once all have come.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The next message; none at the end. Cancel safe: what has arrived is kept.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(other) => self.trailers = other.into_trailers().ok().or(self.trailers.take()),
                },
                Some(Err(error)) => return Err(Failure::Lost(error.to_string())),
                None => return Ok(None),
            }
        }
    }

    /// Why it has ended, where the member said so.
    pub(super) fn end(&self) -> Failure {
        let judged = self.trailers().map(judge);
        match judged {
            Some(Err(failure)) => failure,
            _ => Failure::Lost("it ended".to_owned()),
        }
    }

    fn take(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some((head, _)) = self.buffer.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [compressed, length @ ..] = *head;
        // A length that does not fit is too long in any case.
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if compressed != 0 || length > MESSAGE_BYTES_MAX {
            let problem = format!("a message of {length} bytes, compressed: {compressed}");
            return Err(Failure::Lost(problem));
        }
        if self.buffer.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// Whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// A message as gRPC frames it: not compressed, its length, itself.
pub(super) fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(HEAD_BYTES + length);
    framed.put_u8(0);
    // What is too long for this, etcd refuses.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.put(message.encode_to_vec().as_slice());
    framed.freeze()
}

/// What a member says of a request that it has answered.
pub(super) fn judge(trailers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let Some(code) = text(GRPC_STATUS).and_then(|status| status.parse::<u32>().ok()) else {
        return Err(Failure::Lost("an answer without gRPC status".to_owned()));
    };
    if code == 0 {
        return Ok(());
    }
    let message = text("grpc-message").unwrap_or_default().to_owned();
    Err(Failure::Refused(Refusal { code, message }))
}
