//! Where a chunked body ends, and whether it is written in the one way that nobody reads differently (RFC 9112,
//! 7.1): hexadecimal size, optional extension, CR LF; data, CR LF; no bare LF anywhere.

use super::Refusal;

/// The most bytes of extensions and trailers in one body: nobody uses the first, few the second.
const ASIDE_BYTES_MAX: u32 = 8 << 10;

/// A position within a chunked body.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: State,
    size: u64,
    aside_bytes: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Size,
    /// After at least one digit.
    SizeMore,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    Trailer,
    TrailerMore,
    TrailerLf,
    EndLf,
}

/// How far a body was followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It ended after that many bytes.
    End(usize),
    /// All bytes belong to it, and more will.
    More,
}

impl Chunks {
    /// Follows the body through `bytes`.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<Followed, Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            if self.state == State::Data {
                at += self.skip(bytes.len() - at);
                continue;
            }
            let ended = self.state == State::EndLf;
            self.state = self.step(bytes[at])?;
            at += 1;
            if ended {
                return Ok(Followed::End(at));
            }
        }
        Ok(Followed::More)
    }

    fn skip(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.size).unwrap_or(usize::MAX).min(available);
        self.size -= u64::try_from(taken).unwrap_or(u64::MAX);
        if self.size == 0 {
            self.state = State::DataCr;
        }
        taken
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        let next = match (self.state, byte) {
            (State::Size | State::SizeMore, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.grow(byte)?;
                State::SizeMore
            }
            (State::SizeMore, b';') => State::Extension,
            (State::SizeMore | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.aside(State::Extension)?,
            (State::SizeLf, b'\n') if self.size == 0 => State::Trailer,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf | State::EndLf, b'\n') => State::Size,
            (State::Trailer, b'\r') => State::EndLf,
            (State::TrailerMore, b'\r') => State::TrailerLf,
            // A trailer line that starts with a blank would be a folded one.
            (State::Trailer, b'!'..=b'~') | (State::TrailerMore, b'\t' | b' '..=b'~' | 0x80..) => {
                self.aside(State::TrailerMore)?
            }
            (State::TrailerLf, b'\n') => State::Trailer,
            _ => return Err(Refusal::Chunk),
        };
        Ok(next)
    }

    fn grow(&mut self, digit: u8) -> Result<(), Refusal> {
        let value = char::from(digit).to_digit(16).ok_or(Refusal::Chunk)?;
        self.size = self.size.checked_mul(16).ok_or(Refusal::Chunk)? + u64::from(value);
        Ok(())
    }

    fn aside(&mut self, next: State) -> Result<State, Refusal> {
        self.aside_bytes += 1;
        if self.aside_bytes > ASIDE_BYTES_MAX { Err(Refusal::Chunk) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn follow(body: &[u8]) -> Result<Followed, Refusal> {
        Chunks::default().advance(body)
    }

    #[test]
    fn a_body_ends_where_its_last_chunk_says() {
        assert_eq!(follow(b"3\r\nabc\r\n0\r\n\r\nGET"), Ok(Followed::End(13)));
        assert_eq!(follow(b"A;x=\"y\"\r\n0123456789\r\n00\r\nx: y\r\n\r\n"), Ok(Followed::End(33)));
        assert_eq!(follow(b"3\r\nab"), Ok(Followed::More));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for body in [
            &b"3\nabc\r\n0\r\n\r\n"[..],
            b"3;a\nabc\r\n0\r\n\r\n",
            b"3;a\rbc",
            b"3\r\nabc\n0\r\n\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"0x3\r\nabc\r\n0\r\n\r\n",
            b" 3\r\nabc\r\n0\r\n\r\n",
            b"3 \r\nabc\r\n0\r\n\r\n",
            b"-1\r\n",
            b"\r\n",
            b"10000000000000000\r\n",
            b"0\r\n\n",
            b"0\r\nx: y\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"3;\0\r\nabc\r\n0\r\n\r\n",
        ] {
            assert_eq!(follow(body), Err(Refusal::Chunk), "{}", body.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn the_end_does_not_depend_on_how_the_bytes_arrive(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5),
            step in 1_usize..20,
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let length = body.len();
            body.extend_from_slice(b"GET / HTTP/1.1\r\n");
            let mut followed = Chunks::default();
            let mut seen = 0;
            for part in body.chunks(step) {
                match followed.advance(part).unwrap() {
                    Followed::More => seen += part.len(),
                    Followed::End(at) => { seen += at; break; }
                }
            }
            prop_assert_eq!(seen, length);
        }
    }
}
