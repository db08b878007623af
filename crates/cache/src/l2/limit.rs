//! A limit on how long an answer may take, which tells a stall of this process from one of the other side.

use onefold_core::Clock;
use std::time::Duration;

/// A timer that wakes so much later than it was set has not waited for the other side: this process did not run.
const LATE: Duration = Duration::from_millis(20);

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came<T> {
    Answer(T),
    /// The time was over, and the other side had all of it.
    Nothing,
    /// The time was over, and this process slept through some of it: an answer may lie in its buffers.
    Stall,
}

/// Waits for an answer, at most for `limit`.
pub(crate) async fn limited<T>(limit: Duration, clock: &Clock, answer: impl Future<Output = T>) -> Came<T> {
    let asked = clock.now();
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => Came::Answer(answer),
        Err(_) if clock.now().saturating_duration_since(asked) > limit + LATE => Came::Stall,
        Err(_) => Came::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stall_of_this_process_is_not_the_other_sides() {
        let (limit, clock) = (Duration::from_millis(1), Clock::manual());
        assert_eq!(limited(limit, &clock, async { 1 }).await, Came::Answer(1));
        assert_eq!(limited(limit, &clock, std::future::pending::<()>()).await, Came::Nothing);
        let stalls = async {
            clock.advance(limit + LATE * 2);
            std::future::pending::<()>().await;
        };
        assert_eq!(limited(limit, &clock, stalls).await, Came::Stall);
    }
}
