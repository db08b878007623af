//! A connection that sends one request after the other, as an exporter does.

use anyhow::{Context as _, Result, bail};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// What a full store is given before it is asked again.
const REST: Duration = Duration::from_millis(20);

/// How a request begins, before the length of its body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Traces,
    Metrics,
    /// Prometheus' own protocol.
    RemoteWrite,
}

impl Target {
    fn head(self) -> &'static str {
        match self {
            Self::Traces => "POST /v1/traces HTTP/1.1\r\nhost: o\r\ncontent-type: application/x-protobuf\r\n",
            Self::Metrics => {
                "POST /v1/metrics HTTP/1.1\r\nhost: o\r\ncontent-type: application/x-protobuf\r\n"
            }
            Self::RemoteWrite => {
                "POST /api/v1/write HTTP/1.1\r\nhost: o\r\ncontent-type: application/x-protobuf\r\n\
                 content-encoding: snappy\r\nx-prometheus-remote-write-version: 0.1.0\r\n"
            }
        }
    }
}

/// A sender's connection.
pub(crate) struct Sender {
    stream: TcpStream,
    target: Target,
}

impl Sender {
    pub(crate) fn new(port: u16, target: Target) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("connect a sender")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, target })
    }

    /// Sends a request until it is taken.
    pub(crate) fn send(&mut self, body: &[u8]) -> Result<()> {
        loop {
            let head = format!("{}content-length: {}\r\n\r\n", self.target.head(), body.len());
            self.stream.write_all(head.as_bytes())?;
            self.stream.write_all(body)?;
            match self.status()? {
                200 | 204 => return Ok(()),
                429 => std::thread::sleep(REST),
                other => bail!("a request to {:?} was answered with {other}", self.target),
            }
        }
    }

    fn status(&mut self) -> Result<u16> {
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        loop {
            let count = self.stream.read(&mut part)?;
            if count == 0 {
                bail!("the connection was closed");
            }
            answer.extend_from_slice(&part[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize =
                length.unwrap_or("0").trim().parse().context("read the length of an answer")?;
            if body.len() >= length {
                return head.split(' ').nth(1).context("read a status")?.parse().context("read a status");
            }
        }
    }
}
