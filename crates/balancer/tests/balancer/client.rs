//! A client that writes what it is told, byte by byte if need be.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Long enough for a loaded machine; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Writes what can still be written: the balancer may have closed already.
    pub(crate) async fn write_if_open(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next answer; `None` where the connection ends before one.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("an answer in time")
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &str) -> Answer {
        self.write(request.as_bytes()).await;
        self.answer().await.expect("an answer")
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await
    }

    /// Whether the balancer has closed, or will in time.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0; 1];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut byte)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }

    /// All that comes until the connection closes.
    pub(crate) async fn rest(&mut self) -> String {
        let read = async { while self.fill().await {} };
        tokio::time::timeout(PATIENCE, read).await.expect("an end in time");
        self.unread_text()
    }

    /// Whether something of an answer is there already.
    pub(crate) async fn has_answer(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread);
        // Nothing within a moment is an answer too.
        drop(tokio::time::timeout(Duration::from_millis(1), read).await);
        !self.unread.is_empty()
    }

    /// What has come and was not taken as an answer.
    pub(crate) fn unread_text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// How much has come so far, once there is anything beyond the `seen` bytes.
    pub(crate) async fn more_than(&mut self, seen: usize) -> usize {
        while self.unread.len() <= seen {
            assert!(self.fill().await, "the connection ended");
        }
        self.unread.len()
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let (mut answer, length) = loop {
            if let Some(head) = parse_head(&self.unread) {
                break head;
            }
            if !self.fill().await {
                return None;
            }
        };
        self.unread.drain(..length);
        let is_chunked = answer.header("transfer-encoding") == Some("chunked");
        if is_chunked {
            while let Some(chunk) = self.chunk().await? {
                answer.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = answer.header("content-length").map(|n| n.parse().unwrap()) {
            answer.body = self.exactly(length).await?;
        }
        Some(answer)
    }

    async fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let end = loop {
            if let Some(end) = self.unread.windows(2).position(|w| w == b"\r\n") {
                break end;
            }
            if !self.fill().await {
                return None;
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&self.unread[..end]).unwrap(), 16).unwrap();
        self.unread.drain(..end + 2);
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Some((size > 0).then_some(chunk))
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.unread.drain(..length).collect())
    }

    async fn fill(&mut self) -> bool {
        self.stream.read_buf(&mut self.unread).await.is_ok_and(|read| read > 0)
    }
}

/// An answer without its body, and how long its head is.
fn parse_head(bytes: &[u8]) -> Option<(Answer, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes).unwrap() else { return None };
    let headers = response
        .headers
        .iter()
        .map(|header| (header.name.to_lowercase(), String::from_utf8_lossy(header.value).into_owned()));
    let answer = Answer { status: response.code.unwrap(), headers: headers.collect(), body: Vec::new() };
    Some((answer, length))
}
