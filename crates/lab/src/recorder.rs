//! Takes operations down while clients run, from any task.

use crate::history::{Action, Operation, Outcome};
use onefold_core::Clock;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A history that is being written. Clones write into the same one.
#[derive(Clone, Debug)]
pub struct Recorder {
    clock: Clock,
    began: Instant,
    operations: Arc<Mutex<Vec<Operation>>>,
}

impl Recorder {
    /// An empty history that begins now.
    pub fn new(clock: Clock) -> Self {
        Self { began: clock.now(), clock, operations: Arc::default() }
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.clock.now() - self.began
    }

    /// A client begins an operation. Call this before the request leaves.
    pub fn call(&self, client: u32, key: &str, action: Action) -> Call {
        let called = self.elapsed();
        let key = key.to_owned();
        let open = Operation { client, key, action, called, ended: called, outcome: Outcome::Unknown };
        Call { recorder: self.clone(), open: Some(open) }
    }

    /// Everything that has ended so far, by the time of the call.
    pub fn history(&self) -> Vec<Operation> {
        let mut history = self.lock().clone();
        history.sort_by_key(|operation| operation.called);
        history
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Operation>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation under way. Dropped without an outcome, it is taken down as unknown.
#[derive(Debug)]
pub struct Call {
    recorder: Recorder,
    open: Option<Operation>,
}

impl Call {
    /// The client knows how it ended. Call this after the whole answer was read.
    pub fn ended(mut self, outcome: Outcome) {
        self.close(outcome);
    }

    fn close(&mut self, outcome: Outcome) {
        let Some(mut operation) = self.open.take() else { return };
        operation.ended = self.recorder.elapsed();
        operation.outcome = outcome;
        self.recorder.lock().push(operation);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.close(Outcome::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Level, Version};

    #[test]
    fn an_operation_without_an_outcome_is_unknown() {
        let clock = Clock::manual();
        let recorder = Recorder::new(clock.clone());
        let given_up = recorder.call(1, "a", Action::Write(Version(1)));
        clock.advance(Duration::from_secs(1));
        recorder.call(2, "a", Action::Read(Level::Any)).ended(Outcome::Saw(Version::NONE));
        clock.advance(Duration::from_secs(1));
        drop(given_up);
        let told: Vec<String> = recorder.history().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "       0.0–2000.0 ms  client 1 writes v1 to a: unknown",
                "    1000.0–1000.0 ms  client 2 reads a (Any): nothing",
            ]
        );
    }
}
