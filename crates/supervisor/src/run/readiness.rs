//! Asking a process until it says that it is ready.

use super::ties::Shared;
use crate::event::Event;
use onefold_core::NodeName;
use onefold_core::process::{BoxFuture, ProcessError};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// After this time a person wonders, and is told what is waited for; then again and again.
const WONDER: Duration = Duration::from_secs(10);

/// What a start waits for at present.
#[derive(Debug)]
pub(crate) struct Patience {
    name: NodeName,
    shared: Arc<Shared>,
    reason: Mutex<String>,
}

impl Patience {
    pub(crate) fn new(name: NodeName, shared: Arc<Shared>) -> Self {
        Self { name, shared, reason: Mutex::default() }
    }

    /// The last reason why it was not ready.
    pub(crate) fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what it waits for now.
    pub(crate) fn note(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Tells what is waited for, as long as it takes.
    pub(crate) async fn complain(&self) -> Infallible {
        let mut waited = Duration::ZERO;
        loop {
            tokio::time::sleep(WONDER).await;
            waited += WONDER;
            self.shared.tell(Event::Slow { name: self.name.clone(), waited, reason: self.reason() });
        }
    }
}

/// Asks until the answer is not [`ProcessError::NotYet`], at growing intervals.
///
/// # Errors
/// Every other error, at once.
pub(crate) async fn until_ready<'a>(
    mut ask: impl FnMut() -> BoxFuture<'a, Result<(), ProcessError>>,
    patience: &Patience,
) -> Result<(), ProcessError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match ask().await {
            Err(ProcessError::NotYet(reason)) => patience.note(reason),
            answer => return answer,
        }
        tokio::time::sleep(pause).await;
        pause = pause.mul_f32(1.5).min(PAUSE_MAX);
    }
}
