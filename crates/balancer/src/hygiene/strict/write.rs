//! The side of the stream that answers go out by: watched while the client takes nothing, and closed in a way that
//! lets it read the last answer.

use super::{Ending, SCRATCH_BYTES, Strict};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read and thrown away after a refusal, so that the client reads the answer before a reset.
const LINGER_BYTES_MAX: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(2);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.wrote(result, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.wrote(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ending != Ending::Shut {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            let is_clean = this.ending == Ending::None && !this.follower.is_in_body();
            this.ending = Ending::Shut;
            this.stall.moved();
            if is_clean {
                return Poll::Ready(Ok(()));
            }
        }
        this.poll_linger(cx).map(Ok)
    }
}

impl<S> Strict<S> {
    fn wrote(&mut self, result: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if result.is_pending() {
            ready!(self.stall.poll(cx, &self.clock, self.limits.write_timeout));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.stall.moved();
        result
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    /// Reads what the client still sends, for a while: closing with unread bytes would reset the connection and
    /// may take the answer from the client.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [MaybeUninit::uninit(); SCRATCH_BYTES];
        while self.lingered_bytes < LINGER_BYTES_MAX {
            let mut scratch = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(())) if !scratch.filled().is_empty() => {
                    self.lingered_bytes += scratch.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.stall.poll(cx, &self.clock, LINGER),
            }
        }
        Poll::Ready(())
    }
}
