//! What becomes of a job when its attempt has ended: pure decisions.

use crate::delivery::Failure;
use crate::kind::Policy;
use rand::Rng;
use std::time::Duration;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    /// The handler committed the completion in its own transaction.
    Completed,
    Failed(Failure),
    Panicked(String),
    TimedOut,
    /// The worker stops, and its grace is over.
    Interrupted,
    /// Somebody cancelled the job.
    Cancelled,
}

impl Outcome {
    /// What went wrong, for those that something did.
    pub(crate) fn error_type(&self) -> Option<&'static str> {
        match self {
            Self::Failed(Failure::Snooze(_)) | Self::Succeeded | Self::Completed => None,
            Self::Failed(_) => Some("failed"),
            Self::Panicked(_) => Some("panicked"),
            Self::TimedOut => Some("timed out"),
            Self::Interrupted => Some("interrupted"),
            Self::Cancelled => Some("cancelled"),
        }
    }
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Complete {
        record: bool,
    },
    /// The engine knows already.
    Nothing,
    Retry {
        delay: Duration,
        error: String,
    },
    Snooze {
        delay: Duration,
    },
    Release,
    Die {
        error: String,
    },
    Cancel,
}

/// Decides. `attempt` counts from 1 and includes the one that has ended.
pub(crate) fn verdict(
    outcome: Outcome,
    attempt: u32,
    attempts_max: u32,
    policy: &Policy,
    chance: &mut impl Rng,
) -> Verdict {
    let (delay, error) = match outcome {
        Outcome::Succeeded => return Verdict::Complete { record: policy.history.records(attempt) },
        Outcome::Completed => return Verdict::Nothing,
        Outcome::Interrupted => return Verdict::Release,
        Outcome::Cancelled => return Verdict::Cancel,
        Outcome::Failed(Failure::Snooze(delay)) => return Verdict::Snooze { delay },
        Outcome::Failed(Failure::Dead(error)) => return Verdict::Die { error },
        Outcome::Failed(Failure::RetryAfter(delay, error)) => (Some(delay), error),
        Outcome::Failed(Failure::Retry(error)) => (None, error),
        Outcome::Panicked(message) => (None, format!("panicked: {message}")),
        Outcome::TimedOut => (None, format!("took longer than {:?}", policy.timeout)),
    };
    if attempt >= attempts_max {
        return Verdict::Die { error };
    }
    let delay = delay.unwrap_or_else(|| policy.backoff.delay(attempt.saturating_sub(1), chance));
    Verdict::Retry { delay, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::History;
    use proptest::prelude::*;

    fn outcomes() -> impl Strategy<Value = Outcome> {
        let failures = prop_oneof![
            Just(Failure::Retry("x".to_owned())),
            (0_u64..100).prop_map(|s| Failure::RetryAfter(Duration::from_secs(s), "x".to_owned())),
            Just(Failure::Dead("x".to_owned())),
            (0_u64..100).prop_map(|s| Failure::Snooze(Duration::from_secs(s))),
        ];
        prop_oneof![
            Just(Outcome::Succeeded),
            Just(Outcome::Completed),
            Just(Outcome::Panicked("x".to_owned())),
            Just(Outcome::TimedOut),
            Just(Outcome::Interrupted),
            Just(Outcome::Cancelled),
            failures.prop_map(Outcome::Failed),
        ]
    }

    proptest! {
        #[test]
        fn a_job_is_never_retried_beyond_its_attempts(
            outcome in outcomes(), attempt in 1_u32..50, attempts_max in 1_u32..50,
        ) {
            let policy = Policy::default();
            let decided = verdict(outcome.clone(), attempt, attempts_max, &policy, &mut rand::rng());
            if let Verdict::Retry { .. } = decided {
                prop_assert!(attempt < attempts_max);
            }
            let uncounted = matches!(outcome, Outcome::Interrupted | Outcome::Failed(Failure::Snooze(_)));
            if uncounted {
                prop_assert!(!matches!(decided, Verdict::Die { .. }), "what is not counted never kills");
            }
        }

        #[test]
        fn backoff_is_within_its_bound(attempt in 1_u32..40) {
            let policy = Policy::default();
            let decided =
                verdict(Outcome::TimedOut, attempt, u32::MAX, &policy, &mut rand::rng());
            let Verdict::Retry { delay, .. } = decided else { panic!("retried") };
            prop_assert!(delay <= policy.backoff.bound(attempt - 1));
        }
    }

    #[test]
    fn history_follows_the_policy() {
        let recorded = |history, attempt| {
            let policy = Policy { history, ..Policy::default() };
            verdict(Outcome::Succeeded, attempt, 9, &policy, &mut rand::rng())
                == Verdict::Complete { record: true }
        };
        assert!(!recorded(History::None, 2));
        assert!(!recorded(History::Failures, 1));
        assert!(recorded(History::Failures, 2));
        assert!(recorded(History::All, 1));
    }
}
