//! What a sender is told: how much was taken, or why nothing was.

use super::{Accepted, Signal};
use crate::collect::Error;
use crate::collect::wire::{Malformed, put_varint};
use http::StatusCode;
use std::fmt::Display;

/// Why a request was not taken.
#[derive(Debug)]
pub(in crate::collect) enum Refusal {
    /// It is no request of that kind.
    Malformed(String),
    /// It is larger than is allowed, in bytes after decompression.
    TooLarge(usize),
    /// Its content type or encoding is unknown.
    Unsupported(&'static str),
    /// It came too slowly.
    Slow,
    /// Too much is under way; it may be tried again.
    Busy,
    /// The key is missing or wrong.
    Unauthenticated,
    /// There is no such service.
    NoService,
    /// The method is not POST.
    NoMethod,
    /// The connection ended within it.
    CutOff,
    /// The store has stopped.
    Stopped,
}

/// After how many seconds a sender may try again.
pub(super) const RETRY_AFTER_S: u64 = 1;

impl Refusal {
    pub(super) fn malformed(error: &impl Display) -> Self {
        Self::Malformed(error.to_string())
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::Malformed(why) => format!("the request does not read: {why}"),
            Self::TooLarge(most) => {
                format!("the request is larger than {most} bytes after decompression: send smaller batches")
            }
            Self::Unsupported(what) => (*what).to_owned(),
            Self::Slow => "the request came too slowly".to_owned(),
            Self::Busy => format!("the store is behind: try again in {RETRY_AFTER_S} s"),
            Self::Unauthenticated => "the header `authorization: Bearer KEY` is missing or wrong".to_owned(),
            Self::NoService => {
                "there is no such service: send to /v1/traces, /v1/metrics or /v1/logs, or by gRPC".to_owned()
            }
            Self::NoMethod => "only POST is allowed here".to_owned(),
            Self::CutOff => "the request was cut off".to_owned(),
            Self::Stopped => "the store has stopped".to_owned(),
        }
    }

    /// The code of gRPC.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Malformed(_) => 3,
            Self::Slow => 4,
            Self::TooLarge(_) | Self::Busy => 8,
            Self::Unsupported(_) | Self::NoService | Self::NoMethod => 12,
            Self::CutOff | Self::Stopped => 14,
            Self::Unauthenticated => 16,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::CutOff => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoService => StatusCode::NOT_FOUND,
            Self::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }

    /// `google.rpc.Status`. That it may be tried again is told by a `RetryInfo`, without which a sender must not.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        let mut status = Vec::new();
        put_varint(&mut status, 1 << 3);
        put_varint(&mut status, self.code().into());
        put_bytes(&mut status, 2, self.message().as_bytes());
        if matches!(self, Self::Busy) {
            let mut seconds = Vec::new();
            put_varint(&mut seconds, 1 << 3);
            put_varint(&mut seconds, RETRY_AFTER_S);
            let mut retry = Vec::new();
            put_bytes(&mut retry, 1, &seconds);
            let mut any = Vec::new();
            put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
            put_bytes(&mut any, 2, &retry);
            put_bytes(&mut status, 3, &any);
        }
        status
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::json!({ "code": self.code(), "message": self.message() }).to_string().into_bytes()
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(&malformed)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy(_) => Self::Busy,
            _ => Self::Stopped,
        }
    }
}

impl Accepted {
    /// The response of all three services: they have the same fields. It is empty where everything was taken.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        let mut response = Vec::new();
        if self.rejected > 0 {
            let mut partial = Vec::new();
            put_varint(&mut partial, 1 << 3);
            put_varint(&mut partial, self.rejected);
            put_bytes(&mut partial, 2, self.why.as_bytes());
            put_bytes(&mut response, 1, &partial);
        }
        response
    }

    pub(super) fn to_json(&self, signal: Signal) -> Vec<u8> {
        if self.rejected == 0 {
            return b"{}".to_vec();
        }
        let partial = serde_json::json!({ signal.rejected_name(): self.rejected.to_string(), "errorMessage": self.why });
        serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
    }
}

fn put_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(message, field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}
