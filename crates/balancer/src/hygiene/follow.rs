//! Where each message of a stream begins and ends, and which bytes may be handed on.

use super::Refusal;
use super::chunks::{Chunks, Followed};
use super::head::{self, Body, Head};

/// A position in a client's stream of requests.
#[derive(Debug)]
pub(super) struct Follower {
    limits: head::Limits,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Head(Head),
    Length(u64),
    Chunked(Chunks),
}

/// What may be done with bytes that were read. Bytes of a head that is not complete are never passed, and come
/// again, with what follows them, in the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// So many may be handed on; the rest is the beginning of a head.
    Pass(usize),
    /// So many may be handed on; the request behind them is refused as a whole, and nothing follows.
    Refuse(usize, Refusal),
    /// So many may be handed on; the body that they belong to is broken, and nothing follows.
    Break(usize, Refusal),
}

impl Follower {
    pub(super) fn new(limits: head::Limits) -> Self {
        Self { limits, phase: Phase::default() }
    }

    /// Whether a body is under way.
    pub(super) fn is_in_body(&self) -> bool {
        !matches!(self.phase, Phase::Head(_))
    }

    /// Follows `bytes` from message to message.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Verdict {
        let mut at = 0;
        // Where the present message begins, if it does within these bytes.
        let mut start = None;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.phase {
                Phase::Head(head) => match head.advance(rest, self.limits) {
                    Ok(head::Read::End(length, body)) => {
                        start = Some(at);
                        at += length;
                        self.phase = Phase::after(body);
                    }
                    Ok(head::Read::More) => return Verdict::Pass(at),
                    Err(refusal) => return Verdict::Refuse(at, refusal),
                },
                Phase::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= u64::try_from(taken).unwrap_or(u64::MAX);
                    at += taken;
                    if *left == 0 {
                        self.phase = Phase::default();
                    }
                }
                Phase::Chunked(chunks) => match chunks.advance(rest) {
                    Ok(Followed::More) => at = bytes.len(),
                    Ok(Followed::End(length)) => {
                        at += length;
                        self.phase = Phase::default();
                    }
                    // With its head still in our hands, nothing of the request goes anywhere.
                    Err(refusal) => {
                        return start.map_or(Verdict::Break(at, refusal), |at| Verdict::Refuse(at, refusal));
                    }
                },
            }
        }
        Verdict::Pass(at)
    }
}

impl Phase {
    fn after(body: Body) -> Self {
        match body {
            Body::None => Self::default(),
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunked(Chunks::default()),
        }
    }
}

impl Default for Phase {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: head::Limits = head::Limits { bytes_max: 32 << 10, lines_max: 100 };

    fn verdict(bytes: &[u8]) -> Verdict {
        Follower::new(LIMITS).follow(bytes)
    }

    /// What is handed on when `stream` arrives in pieces of `step` bytes, and how it ends.
    fn passed(stream: &[u8], step: usize) -> (Vec<u8>, Option<Refusal>) {
        let mut follower = Follower::new(LIMITS);
        let (mut held, mut passed) = (Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            held.extend_from_slice(piece);
            let (pass, refusal) = match follower.follow(&held) {
                Verdict::Pass(pass) => (pass, None),
                Verdict::Refuse(pass, refusal) | Verdict::Break(pass, refusal) => (pass, Some(refusal)),
            };
            passed.extend(held.drain(..pass));
            if refusal.is_some() {
                return (passed, refusal);
            }
        }
        (passed, None)
    }

    #[test]
    fn what_may_be_handed_on_ends_where_a_head_is_not_complete() {
        assert_eq!(verdict(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /"), Verdict::Pass(27));
        assert_eq!(verdict(b"GET / HTTP/1.1\r\nhost: a\r\n"), Verdict::Pass(0));
        assert_eq!(
            verdict(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            Verdict::Refuse(27, Refusal::HostMissing)
        );
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut follower = Follower::new(LIMITS);
        assert_eq!(follower.follow(&[&head[..], b"3\nabc"].concat()), Verdict::Refuse(0, Refusal::Chunk));
        let mut follower = Follower::new(LIMITS);
        assert_eq!(follower.follow(head), Verdict::Pass(head.len()));
        assert!(follower.is_in_body());
        assert_eq!(follower.follow(b"3\nabc"), Verdict::Break(0, Refusal::Chunk));
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let body = proptest::collection::vec(any::<u8>(), 0..60);
        (body, 0..3_u8, "[a-z/]{0,20}").prop_map(|(body, kind, path)| {
            let (framing, body) = match kind {
                0 => (String::new(), Vec::new()),
                1 => (format!("Content-Length: {}\r\n", body.len()), body),
                _ => {
                    let mut chunked = Vec::new();
                    for chunk in body.chunks(7) {
                        chunked.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                        chunked.extend_from_slice(chunk);
                        chunked.extend_from_slice(b"\r\n");
                    }
                    chunked.extend_from_slice(b"0\r\n\r\n");
                    ("transfer-encoding: chunked\r\n".to_owned(), chunked)
                }
            };
            let head = format!("POST /{path} HTTP/1.1\r\nHost: a\r\n{framing}x: y\r\n\r\n");
            [head.into_bytes(), body].concat()
        })
    }

    proptest! {
        #[test]
        fn legal_requests_pass_whole_however_they_arrive(
            requests in proptest::collection::vec(request(), 1..5),
            step in 1..100_usize,
        ) {
            let stream = requests.concat();
            prop_assert_eq!(passed(&stream, step), (stream, None));
        }

        #[test]
        fn whatever_arrives_the_verdict_does_not_depend_on_the_pieces(
            mut stream in proptest::collection::vec(request(), 1..3).prop_map(|r| r.concat()),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
            step in 1..100_usize,
        ) {
            let place = place.index(stream.len());
            stream[place] = byte;
            let (at_once, refusal) = passed(&stream, stream.len());
            let (in_pieces, other) = passed(&stream, step);
            prop_assert_eq!(refusal, other);
            // In pieces, more of a body may be gone before it turns bad; never another byte.
            prop_assert!(in_pieces.starts_with(&at_once) && stream.starts_with(&in_pieces));
        }

        #[test]
        fn what_passes_is_what_the_parser_reads(
            mut stream in request(),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let place = place.index(stream.len());
            stream[place] = byte;
            let (passed, refusal) = passed(&stream, stream.len());
            prop_assume!(refusal.is_none() && !passed.is_empty());
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut headers);
            // The parser behind may still refuse what passes, but must not see its head end elsewhere.
            if let Ok(status) = request.parse(&passed) {
                let mut head = Head::default();
                let own = head.advance(&stream, LIMITS).unwrap();
                let httparse::Status::Complete(length) = status else {
                    return Err(TestCaseError::fail("a head that is not complete was passed"));
                };
                prop_assert!(matches!(own, head::Read::End(end, _) if end == length));
            }
        }
    }
}
