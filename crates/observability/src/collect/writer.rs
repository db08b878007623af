//! The one thread that writes a signal, and the bounded way into it.
//!
//! `SQLite` blocks, so it has a thread of its own. What waits for it is bounded by bytes: a sender that comes when
//! that is full is told so (`Busy`) and tries again, as OTLP has it; nothing is dropped in silence.

use super::Error;
use onefold_core::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// What a signal does with what comes in. All of it runs in the writer's thread.
pub(crate) trait Sink: Send + 'static {
    /// What one request brings.
    type Batch: Send + 'static;

    /// Takes a batch into memory, and commits if that is enough for a commit.
    fn take(&mut self, batch: Self::Batch) -> Result<(), Error>;

    /// Commits what is in memory.
    fn commit(&mut self) -> Result<(), Error>;

    /// Nothing has come for a while: bounds of age are enforced here.
    fn rest(&mut self);
}

/// Fresh items can be found after this long: a trace is searchable within a second.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// Requests that wait, beside the bound in bytes.
const BATCHES_MAX: usize = 1024;

enum Message<B> {
    Batch(B, Held),
    Flush(oneshot::Sender<()>),
    End,
}

/// Bytes that wait for the writer; given back when it has taken them.
struct Held(Arc<AtomicU64>, u64);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

/// The way into a writer's thread. Cloning is cheap; [`Inlet::end`] ends the thread for all.
pub(crate) struct Inlet<B> {
    signal: &'static str,
    sender: SyncSender<Message<B>>,
    waiting: Arc<AtomicU64>,
    bytes_max: u64,
    refused: Arc<AtomicU64>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl<B> Clone for Inlet<B> {
    fn clone(&self) -> Self {
        Self {
            signal: self.signal,
            sender: self.sender.clone(),
            waiting: Arc::clone(&self.waiting),
            bytes_max: self.bytes_max,
            refused: Arc::clone(&self.refused),
            thread: Arc::clone(&self.thread),
        }
    }
}

impl<B: Send + 'static> Inlet<B> {
    /// Starts the thread. At most `bytes_max` bytes wait for it.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub(crate) fn start<S>(signal: &'static str, bytes_max: u64, sink: S, clock: Clock) -> Result<Self, Error>
    where
        S: Sink<Batch = B>,
    {
        let (sender, receiver) = sync_channel(BATCHES_MAX);
        let thread = std::thread::Builder::new()
            .name(format!("write-{signal}"))
            .spawn(move || run(signal, &receiver, sink, &clock))
            .map_err(|source| Error::Thread(signal, source))?;
        Ok(Self {
            signal,
            sender,
            waiting: Arc::default(),
            bytes_max,
            refused: Arc::default(),
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Hands over a batch that takes `bytes` of memory and holds `items`.
    ///
    /// # Errors
    /// [`Error::Busy`] where too much waits already, [`Error::Stopped`] after the end.
    pub(crate) fn offer(&self, batch: B, bytes: u64, items: u64) -> Result<(), Error> {
        let before = self.waiting.fetch_add(bytes, Ordering::AcqRel);
        let held = Held(Arc::clone(&self.waiting), bytes);
        // One batch may be larger than the bound: it is taken when nothing waits.
        if before > 0 && before + bytes > self.bytes_max {
            self.refused.fetch_add(items, Ordering::Relaxed);
            return Err(Error::Busy(self.signal));
        }
        self.sender.try_send(Message::Batch(batch, held)).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.refused.fetch_add(items, Ordering::Relaxed);
                Error::Busy(self.signal)
            }
            TrySendError::Disconnected(_) => Error::Stopped(self.signal),
        })
    }

    /// Items that were refused because the writer was behind.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until everything that was handed over before is committed.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        let sender = self.sender.clone();
        // The channel may be full: waiting for a place blocks.
        let sent = tokio::task::spawn_blocking(move || sender.send(Message::Flush(done)).is_ok()).await;
        if matches!(sent, Ok(true)) {
            let _ = flushed.await;
        }
    }

    /// Commits everything and ends the thread. Blocks until then.
    pub(crate) fn end(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.sender.send(Message::End);
            let _ = thread.join();
        }
    }
}

fn run<S: Sink>(signal: &'static str, receiver: &Receiver<Message<S::Batch>>, mut sink: S, clock: &Clock) {
    let mut due = clock.now() + COMMIT_EVERY;
    loop {
        let step = match receiver.recv_timeout(due.saturating_duration_since(clock.now())) {
            Ok(Message::Batch(batch, held)) => {
                let taken = sink.take(batch);
                drop(held);
                taken
            }
            Ok(Message::Flush(done)) => {
                let committed = sink.commit();
                let _ = done.send(());
                committed
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => {
                report(signal, sink.commit());
                return;
            }
        };
        report(signal, step);
        if clock.now() >= due {
            report(signal, sink.commit());
            sink.rest();
            due = clock.now() + COMMIT_EVERY;
        }
    }
}

/// A failed commit costs what was in it: the disk is full or broken, and a person must look.
fn report(signal: &'static str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(signal, %error, source, "telemetry could not be stored");
    }
}
