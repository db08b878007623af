//! Why the bytes of a client are refused, and what it is told.

use http::StatusCode;

macro_rules! refusals {
    ($($name:ident = $status:ident, $detail:literal;)*) => {
        /// A reason to refuse a request. None of them is an endpoint's fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub(crate) enum Refusal {
            $(#[error($detail)] $name,)*
        }

        impl Refusal {
            /// Every refusal, by its code.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The status that the client gets.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Its name in metrics.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What the client reads.
            pub(crate) fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

refusals! {
    LineEnd = BAD_REQUEST, "a line does not end in CR LF";
    ControlCharacter = BAD_REQUEST, "the request head holds a control character";
    FoldedLine = BAD_REQUEST, "a header line is folded";
    HeaderName = BAD_REQUEST, "a header line has no valid name";
    RequestLine = BAD_REQUEST, "the request line is malformed";
    Target = BAD_REQUEST, "the request target is malformed";
    Version = HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken here";
    Method = METHOD_NOT_ALLOWED, "the method is not allowed";
    HostMissing = BAD_REQUEST, "the request has no Host";
    HostRepeated = BAD_REQUEST, "the request has several Hosts";
    HostMalformed = BAD_REQUEST, "the Host is malformed";
    HostMismatch = BAD_REQUEST, "the target names another host than Host does";
    LengthMalformed = BAD_REQUEST, "the Content-Length is malformed";
    LengthRepeated = BAD_REQUEST, "the request has several Content-Lengths";
    LengthWithEncoding = BAD_REQUEST, "the request has both Content-Length and Transfer-Encoding";
    Encoding = BAD_REQUEST, "the only Transfer-Encoding is chunked, on HTTP/1.1";
    Expectation = EXPECTATION_FAILED, "the only expectation met here is 100-continue";
    Chunk = BAD_REQUEST, "the chunked body is malformed";
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "the request head is too large";
    TooManyLines = REQUEST_HEADER_FIELDS_TOO_LARGE, "the request head has too many lines";
    BodyTooLarge = PAYLOAD_TOO_LARGE, "the request body is too large";
    HeadTimeout = REQUEST_TIMEOUT, "the request head did not come in time";
    BodyTimeout = REQUEST_TIMEOUT, "the request body did not come in time";
    BodyAborted = BAD_REQUEST, "the request body ended too early";
}

impl Refusal {
    /// The refusal as a byte, for an atomic or a target.
    pub(crate) fn code(self) -> u8 {
        Self::ALL.iter().zip(0..).find_map(|(refusal, code)| (*refusal == self).then_some(code)).unwrap_or(0)
    }

    /// The refusal of that byte.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The refusal within an error of the parser, if this crate put one there.
    pub(crate) fn within(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(refusal) = error.downcast_ref::<Self>() {
                return Some(*refusal);
            }
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = inner.map_or_else(|| error.source(), |inner| Some(inner));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_its_code_and_an_error() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::of_code(refusal.code()), Some(*refusal));
            let error = std::io::Error::new(std::io::ErrorKind::InvalidData, *refusal);
            assert_eq!(Refusal::within(&error), Some(*refusal));
        }
        assert_eq!(Refusal::of_code(u8::MAX), None);
        assert_eq!(Refusal::within(&std::io::Error::other("else")), None);
    }
}
