//! One request head, line by line: the refusals that keep every program behind us of one opinion.
//!
//! A head may arrive in pieces; [`Head::advance`] goes on where it stopped, so that a client which sends single
//! bytes costs no more than one that sends all at once.

use super::Refusal;
use std::ops::Range;

/// What bounds a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes_max: usize,
    pub(crate) lines_max: usize,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Length(u64),
    Chunked,
}

/// How far a head was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It ended after that many bytes, and that follows.
    End(usize, Body),
    /// It goes on.
    More,
}

/// The head so far. All positions count from its first byte.
#[derive(Debug, Default)]
pub(crate) struct Head {
    cursor: usize,
    line_start: usize,
    lines: usize,
    is_old: bool,
    authority: Option<Range<usize>>,
    host: Option<Range<usize>>,
    length: Option<u64>,
    is_chunked: bool,
}

impl Head {
    /// Reads on. `bytes` starts at the head's first byte each time.
    pub(crate) fn advance(&mut self, bytes: &[u8], limits: Limits) -> Result<Read, Refusal> {
        while let Some(&byte) = bytes.get(self.cursor) {
            if is_text(byte) {
                self.cursor += 1;
                continue;
            }
            if byte != b'\r' {
                return Err(if byte == b'\n' { Refusal::LineEnd } else { Refusal::ControlCharacter });
            }
            match bytes.get(self.cursor + 1) {
                None => break,
                Some(b'\n') => {}
                Some(_) => return Err(Refusal::LineEnd),
            }
            let line = self.line_start..self.cursor;
            self.cursor += 2;
            self.line_start = self.cursor;
            if self.cursor > limits.bytes_max {
                return Err(Refusal::HeadTooLarge);
            }
            if line.is_empty() {
                return Ok(Read::End(self.cursor, self.finish(bytes)?));
            }
            self.line(bytes, line, limits)?;
        }
        if self.cursor >= limits.bytes_max { Err(Refusal::HeadTooLarge) } else { Ok(Read::More) }
    }

    fn line(&mut self, bytes: &[u8], line: Range<usize>, limits: Limits) -> Result<(), Refusal> {
        if line.start == 0 {
            return self.request_line(&bytes[line]);
        }
        self.lines += 1;
        if self.lines > limits.lines_max {
            return Err(Refusal::TooManyLines);
        }
        self.header_line(bytes, line)
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let mut parts = line.split(|b| *b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::RequestLine);
        };
        // Registered methods are capitals; `get` is how filters are passed by.
        if method.is_empty() || !method.iter().all(|b| b.is_ascii_uppercase() || *b == b'-') {
            return Err(Refusal::RequestLine);
        }
        match version {
            b"HTTP/1.1" => {}
            b"HTTP/1.0" => self.is_old = true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Refusal::Version);
            }
            _ => return Err(Refusal::RequestLine),
        }
        if matches!(method, b"CONNECT" | b"TRACE") {
            return Err(Refusal::Method);
        }
        self.target(method, target)?;
        Ok(())
    }

    fn target(&mut self, method: &[u8], target: &[u8]) -> Result<(), Refusal> {
        if !target.iter().all(|b| is_target(*b)) {
            return Err(Refusal::Target);
        }
        if target.first() == Some(&b'/') || (target == b"*" && method == b"OPTIONS") {
            return Ok(());
        }
        let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        let start = scheme.ok_or(Refusal::Target)?.len();
        let rest = &target[start..];
        let length = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
        // The target stands behind the method and one blank.
        let offset = method.len() + 1 + start;
        self.authority = Some(offset..offset + length);
        Ok(())
    }

    fn header_line(&mut self, bytes: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        let text = &bytes[line.clone()];
        if matches!(text[0], b' ' | b'\t') {
            return Err(Refusal::FoldedLine);
        }
        let colon = text.iter().position(|b| *b == b':').ok_or(Refusal::HeaderName)?;
        let name = &text[..colon];
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            return Err(Refusal::HeaderName);
        }
        let value = text[colon + 1..].trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let start = line.start + colon + 1 + leading_blanks(&text[colon + 1..]);
                self.host(value, start)
            }
            6 if name.eq_ignore_ascii_case(b"expect") && !value.eq_ignore_ascii_case(b"100-continue") => {
                Err(Refusal::Expectation)
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8], start: usize) -> Result<(), Refusal> {
        if self.host.is_some() {
            return Err(Refusal::HostRepeated);
        }
        if value.is_empty() || !value.iter().all(|b| is_host(*b)) {
            return Err(Refusal::HostMalformed);
        }
        self.host = Some(start..start + value.len());
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::LengthRepeated);
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::LengthMalformed);
        }
        let length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse::<u64>().ok());
        // The two largest numbers mean "chunked" and "until the end" to the parser behind.
        self.length = Some(length.filter(|n| *n < u64::MAX - 1).ok_or(Refusal::LengthMalformed)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.is_chunked || self.is_old || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::Encoding);
        }
        self.is_chunked = true;
        Ok(())
    }

    fn finish(&self, bytes: &[u8]) -> Result<Body, Refusal> {
        if self.line_start <= 2 {
            // An empty line where the request line should be.
            return Err(Refusal::RequestLine);
        }
        let host = self.host.clone().ok_or(Refusal::HostMissing)?;
        if let Some(authority) = self.authority.clone()
            && !bytes[authority].eq_ignore_ascii_case(&bytes[host])
        {
            return Err(Refusal::HostMismatch);
        }
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Refusal::LengthWithEncoding),
            (true, None) => Ok(Body::Chunked),
            (false, None | Some(0)) => Ok(Body::None),
            (false, Some(length)) => Ok(Body::Length(length)),
        }
    }
}

/// What may stand within a line: all but the control characters, with the tab allowed.
fn is_text(byte: u8) -> bool {
    const TABLE: [bool; 256] = table(b"\t", &[(b' ', b'~'), (0x80, 0xff)]);
    TABLE[usize::from(byte)]
}

fn is_token(byte: u8) -> bool {
    const TABLE: [bool; 256] = table(b"!#$%&'*+-.^_`|~", &[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')]);
    TABLE[usize::from(byte)]
}

/// What may stand in a target: what RFC 3986 allows, and what browsers send beside it. No fragment.
fn is_target(byte: u8) -> bool {
    const TABLE: [bool; 256] =
        table(b"-._~%!$&'()*+,;=:@/?[]{}|^\\", &[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')]);
    TABLE[usize::from(byte)]
}

/// What may stand in a host and port: no comma (two hosts in one line), no `@` (credentials), no path.
fn is_host(byte: u8) -> bool {
    const TABLE: [bool; 256] = table(b"!$&'()*+-.:;=[]_~%", &[(b'0', b'9'), (b'a', b'z'), (b'A', b'Z')]);
    TABLE[usize::from(byte)]
}

const fn table(bytes: &[u8], ranges: &[(u8, u8)]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] = true;
        i += 1;
    }
    let mut i = 0;
    while i < ranges.len() {
        let mut byte = ranges[i].0 as usize;
        while byte <= ranges[i].1 as usize {
            table[byte] = true;
            byte += 1;
        }
        i += 1;
    }
    table
}

fn leading_blanks(value: &[u8]) -> usize {
    value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes_max: 200, lines_max: 3 };

    fn read(head: &str) -> Result<Read, Refusal> {
        Head::default().advance(head.as_bytes(), LIMITS)
    }

    #[test]
    fn a_target_that_passes_is_one_that_the_parser_behind_takes() {
        for byte in (0..=u8::MAX).filter(|byte| is_target(*byte)) {
            for target in [format!("/{}", char::from(byte)), format!("/?{}", char::from(byte))] {
                assert!(target.parse::<http::Uri>().is_ok(), "{target}");
            }
        }
    }

    #[test]
    fn what_follows_a_head_is_what_it_says() {
        let end = |lines: &str| {
            let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
            read(&head).map(|read| match read {
                Read::End(length, body) => {
                    assert_eq!(length, head.len());
                    body
                }
                Read::More => panic!("the head is complete"),
            })
        };
        assert_eq!(end(""), Ok(Body::None));
        assert_eq!(end("content-length: 0\r\n"), Ok(Body::None));
        assert_eq!(end("Content-Length:007\r\n"), Ok(Body::Length(7)));
        assert_eq!(end("TRANSFER-ENCODING: chunked\r\n"), Ok(Body::Chunked));
        assert_eq!(end("content-length: 18446744073709551615\r\n"), Err(Refusal::LengthMalformed));
    }

    #[test]
    fn a_head_at_its_limits_passes_and_one_beyond_does_not() {
        let of = |length: usize| {
            let head = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n";
            read(&head.replace("x: ", &format!("x: {}", "y".repeat(length - head.len()))))
        };
        assert!(matches!(of(200), Ok(Read::End(200, _))));
        assert_eq!(of(201), Err(Refusal::HeadTooLarge));
        let lines =
            |count: usize| read(&format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(count)));
        assert!(matches!(lines(2), Ok(Read::End(..))));
        assert_eq!(lines(3), Err(Refusal::TooManyLines));
        assert_eq!(read(&"G".repeat(200)), Err(Refusal::HeadTooLarge), "without a line end in sight");
    }
}
