//! Asking a process until it says that it is ready.

use onefold_core::process::{BoxFuture, ProcessError};
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Asks until the answer is not [`ProcessError::NotYet`], at growing intervals; `waiting` hears each reason.
///
/// # Errors
/// Every other error, at once.
pub(crate) async fn until_ready<'a>(
    mut ask: impl FnMut() -> BoxFuture<'a, Result<(), ProcessError>>,
    waiting: &mut String,
) -> Result<(), ProcessError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match ask().await {
            Err(ProcessError::NotYet(reason)) => *waiting = reason,
            answer => return answer,
        }
        tokio::time::sleep(pause).await;
        pause = pause.mul_f32(1.5).min(PAUSE_MAX);
    }
}
