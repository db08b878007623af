//! The jobs that a worker has fetched and that wait for a slot.

use super::crew::KnownKind;
use crate::delivery::Fetched;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Semaphore;

/// A job and how this build runs it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) job: Fetched,
    pub(super) kind: Arc<KnownKind>,
    pub(super) arrived: Instant,
}

/// One line for each priority. The fetch bounds it: slots and one second's work.
#[derive(Debug)]
pub(super) struct Ready {
    lines: Mutex<[VecDeque<Waiting>; 4]>,
    // Counted apart, so that the appetite is asked without the lock.
    len: AtomicUsize,
    // One permit for each job; closed when no more jobs are to be started.
    open: Semaphore,
}

impl Ready {
    pub(super) fn new() -> Self {
        Self { lines: Mutex::default(), len: AtomicUsize::new(0), open: Semaphore::new(0) }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn extend(&self, jobs: Vec<Waiting>) {
        let count = jobs.len();
        {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            for job in jobs {
                lines[job.job.priority as usize].push_back(job);
            }
        }
        self.len.fetch_add(count, Ordering::Relaxed);
        self.open.add_permits(count);
    }

    /// The next job, best priority first; none once the line is closed.
    pub(super) async fn next(&self) -> Option<Waiting> {
        self.open.acquire().await.ok()?.forget();
        let job = self
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
            .find_map(VecDeque::pop_front);
        if job.is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        job
    }

    /// Closes the line and takes out all that still waits.
    pub(super) fn close(&self) -> Vec<Waiting> {
        self.open.close();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        self.len.store(0, Ordering::Relaxed);
        lines.iter_mut().flat_map(|line| line.drain(..)).collect()
    }
}
