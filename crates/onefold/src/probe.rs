//! One question to a node's admin address.

use http::request::Builder;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(1);
const BODY_BYTES_MAX: usize = 4 << 20;

/// What `GET path` at a node's admin address answers, or why it answers nothing.
pub(crate) async fn get(admin: SocketAddr, path: &str) -> Result<(StatusCode, String), String> {
    ask(TIMEOUT, admin, Request::get(path), String::new()).await
}

/// Returns when a node has said anything at all, or nobody is there, however long that takes.
pub(crate) async fn word(admin: SocketAddr) {
    let asked = async {
        exchange(TcpStream::connect(admin).await?, admin, Request::get("/healthz"), String::new()).await
    };
    // Whatever it is.
    let _: Result<_, Unanswered> = asked.await;
}

/// The same for a `POST` of JSON.
pub(crate) async fn post(
    admin: SocketAddr,
    path: &str,
    json: String,
    patience: Duration,
) -> Result<(StatusCode, String), String> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    ask(patience, admin, request, json).await
}

async fn ask(
    patience: Duration,
    address: SocketAddr,
    request: Builder,
    body: String,
) -> Result<(StatusCode, String), String> {
    let asked = async { exchange(TcpStream::connect(address).await?, address, request, body).await };
    in_time(patience, address, asked).await
}

/// What a question to this address was answered, if the answer comes in time.
pub(crate) async fn in_time(
    patience: Duration,
    address: SocketAddr,
    asked: impl Future<Output = Result<(StatusCode, String), Unanswered>>,
) -> Result<(StatusCode, String), String> {
    match tokio::time::timeout(patience, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{address} does not answer: {error}")),
        Err(_) => Err(format!("{address} does not answer within {} s", patience.as_secs_f32())),
    }
}

/// Why not.
pub(crate) type Unanswered = Box<dyn std::error::Error + Send + Sync>;

/// One request over a connection to this address, plain or through TLS.
pub(crate) async fn exchange<S>(
    stream: S,
    address: SocketAddr,
    request: Builder,
    body: String,
) -> Result<(StatusCode, String), Unanswered>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = request.header(header::HOST, address.to_string()).body(Full::new(Bytes::from(body)))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::select! {
        answer = exchange => answer,
        // The connection has to be driven; it ends after the exchange, or breaks before.
        broken = connection => Err(broken.err().map_or("the connection closed".into(), Into::into)),
    }
}
