//! An order to start a running process anew, and the answer to it.

use crate::error::Error;
use std::time::Duration;
use tokio::sync::oneshot;

/// One process shall be stopped in good order and started again.
#[derive(Debug)]
pub(crate) struct Order {
    /// What for, for those who look on.
    pub(crate) reason: String,
    /// Hears how long the new start took, or why it is none.
    pub(crate) done: oneshot::Sender<Result<Duration, Error>>,
}
