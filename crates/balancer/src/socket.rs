//! A TCP stream that sends a small message in one piece.
//!
//! The parser hands over a message's head and its body as two slices. For a few hundred bytes `writev` costs more than
//! copying them together and `send` (a tenth of a small request, measured); for a large body the copy would.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is copied together at most.
const GATHERED_BYTES_MAX: usize = 4096;

/// A connection of a client or to a node.
#[derive(Debug)]
pub(crate) struct Socket(TcpStream);

impl Socket {
    /// Sends what is written at once: without that, a small answer waits for the acknowledgement of the one before.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.get_mut().0);
        if let [only] = slices {
            return stream.poll_write(cx, only);
        }
        if slices.iter().map(|slice| slice.len()).sum::<usize>() > GATHERED_BYTES_MAX {
            return stream.poll_write_vectored(cx, slices);
        }
        let mut gathered = [MaybeUninit::uninit(); GATHERED_BYTES_MAX];
        let mut gathered = ReadBuf::uninit(&mut gathered);
        for slice in slices {
            gathered.put_slice(slice);
        }
        stream.poll_write(cx, gathered.filled())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn slices_arrive_whole_and_in_order_whatever_their_size() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut socket = Socket::new(stream).unwrap();
        for length in [0, 1, GATHERED_BYTES_MAX - 4, GATHERED_BYTES_MAX - 3, 3 * GATHERED_BYTES_MAX] {
            let body = vec![b'x'; length];
            let slices = [&b"head"[..], &body].map(IoSlice::new);
            let written = poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &slices)).await.unwrap();
            assert_eq!(written, 4 + length, "the socket's buffer holds more");
            let mut arrived = vec![0; written];
            peer.read_exact(&mut arrived).await.unwrap();
            assert!(arrived.starts_with(b"head") && arrived[4..] == body);
        }
        socket.shutdown().await.unwrap();
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    }
}
