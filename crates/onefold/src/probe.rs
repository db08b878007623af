//! One question to a node's admin address.

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(1);
const BODY_BYTES_MAX: usize = 4 << 20;

/// What `GET path` at a node's admin address answers, or why it answers nothing.
pub(crate) async fn get(admin: SocketAddr, path: &str) -> Result<(StatusCode, String), String> {
    match tokio::time::timeout(TIMEOUT, ask(admin, path)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{admin} does not answer: {error}")),
        Err(_) => Err(format!("{admin} does not answer within {} s", TIMEOUT.as_secs())),
    }
}

async fn ask(
    admin: SocketAddr,
    path: &str,
) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(admin).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(header::HOST, admin.to_string()).body(Empty::<Bytes>::new())?;
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
