//! A server that costs as little as a server can: it answers each request head with the same 200 bytes.
//!
//! It shares the load's core, so whatever it used would be missing there.

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const BODY_BYTES: usize = 200;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Serves on these ports, for ever.
pub(crate) async fn serve(ports: &[u16]) -> Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for port in ports {
        let listener = TcpListener::bind(("127.0.0.1", *port)).await.context("listen")?;
        tasks.spawn(accept(listener));
    }
    tasks.join_all().await;
    Ok(())
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // A connection that breaks has told its peer so.
        tokio::spawn(async move { answer(stream).await.ok() });
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let response = response();
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        // Requests without a body, one at a time: the end of a head is the end of what is read.
        if buffer[..filled].ends_with(HEAD_END) {
            stream.write_all(&response).await?;
            filled = 0;
        } else if filled == buffer.len() {
            return Ok(());
        }
    }
}

fn response() -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
    [head.as_bytes(), &[b'x'; BODY_BYTES]].concat()
}
