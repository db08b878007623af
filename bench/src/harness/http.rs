//! Single requests, for what is not load: has it come up, make a link, how many clicks.

use anyhow::{Context as _, Result};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// A status and a body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// `GET path` at a port of this machine.
pub(crate) fn get(port: u16, path: &str) -> Result<Response> {
    exchange(port, &format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"))
}

/// `POST path` with a body of JSON.
pub(crate) fn post(port: u16, path: &str, json: &str) -> Result<Response> {
    let length = json.len();
    exchange(
        port,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{json}"
        ),
    )
}

fn exchange(port: u16, request: &str) -> Result<Response> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("an answer without a status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunked(body).context("an answer whose chunks do not read")?
    } else {
        body.to_owned()
    };
    Ok(Response { status, body })
}

/// The body of pieces, each behind a line with its length.
fn unchunked(mut pieces: &str) -> Option<String> {
    let mut body = String::with_capacity(pieces.len());
    loop {
        let (length, rest) = pieces.split_once("\r\n")?;
        let length = usize::from_str_radix(length.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..length)?);
        pieces = rest.get(length..)?.strip_prefix("\r\n")?;
    }
}

/// A parameter's value as it stands in an address.
pub(crate) fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_chunks_is_put_together() {
        assert_eq!(unchunked("4\r\n{\"a\"\r\n3;x=y\r\n:1}\r\n0\r\n\r\n").as_deref(), Some("{\"a\":1}"));
        assert_eq!(unchunked("9\r\nshort\r\n"), None);
        assert_eq!(encoded("up{a=\"1\"}"), "up%7Ba%3D%221%22%7D");
    }
}
