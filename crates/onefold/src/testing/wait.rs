//! Waiting for a state, with a deadline.

use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `holds`, and panics with `what` where it does not within `deadline`.
///
/// # Panics
/// At the deadline.
pub async fn eventually(deadline: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    assert!(tokio::time::timeout(deadline, waiting).await.is_ok(), "not within {deadline:?}: {what}");
}

/// The same for a destructor, which cannot await.
#[expect(clippy::disallowed_methods, reason = "a destructor cannot await")]
pub(super) fn until_blocking(deadline: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let mut waited = Duration::ZERO;
    while !holds() {
        if waited >= deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
    true
}
