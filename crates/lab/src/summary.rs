//! How many operations of each kind there were, and for how long a kind was not served.

use crate::history::{Action, Level, Operation, Outcome};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Writes.
    Write,
    /// `Strong` reads.
    Strong,
    /// Reads of a session's own writes.
    YourWrites,
    /// Reads with a bound.
    Bounded,
    /// Reads of whatever is nearest.
    Any,
}

/// Of one kind of operation: how many, and for how long none of them succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// That ended well.
    pub done: usize,
    /// That certainly had no effect.
    pub failed: usize,
    /// That nobody knows of.
    pub unknown: usize,
    /// The longest stretch, from the call of one that did not end well to the next end of one that did.
    pub unavailable: Duration,
    /// All such stretches together.
    pub unavailable_sum: Duration,
}

/// A history in a few lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary(BTreeMap<Kind, Served>);

impl Summary {
    /// Of a history in the order of its calls.
    pub fn of(history: &[Operation]) -> Self {
        let mut kinds: BTreeMap<Kind, Vec<&Operation>> = BTreeMap::new();
        for operation in history {
            kinds.entry(kind(operation.action)).or_default().push(operation);
        }
        Self(kinds.into_iter().map(|(kind, operations)| (kind, served(&operations))).collect())
    }

    /// Of one kind.
    pub fn of_kind(&self, kind: Kind) -> Served {
        self.0.get(&kind).cloned().unwrap_or_default()
    }
}

fn kind(action: Action) -> Kind {
    match action {
        Action::Write(_) => Kind::Write,
        Action::Read(Level::Strong) => Kind::Strong,
        Action::Read(Level::YourWrites) => Kind::YourWrites,
        Action::Read(Level::Bounded(_)) => Kind::Bounded,
        Action::Read(Level::Any) => Kind::Any,
    }
}

fn served(operations: &[&Operation]) -> Served {
    let mut served = Served::default();
    let mut by_end = operations.to_vec();
    by_end.sort_by_key(|operation| operation.ended);
    // The call of the first one since the last success that did not end well.
    let mut since: Option<Duration> = None;
    let mut stretch = Duration::ZERO;
    for operation in by_end {
        match operation.outcome {
            Outcome::Written | Outcome::Saw(_) => served.done += 1,
            Outcome::Failed => served.failed += 1,
            Outcome::Unknown => served.unknown += 1,
        }
        let is_done = matches!(operation.outcome, Outcome::Written | Outcome::Saw(_));
        if !is_done {
            since = Some(since.map_or(operation.called, |since| since.min(operation.called)));
        }
        if let Some(began) = since {
            stretch = operation.ended.saturating_sub(began);
            served.unavailable = served.unavailable.max(stretch);
        }
        if is_done {
            served.unavailable_sum += std::mem::take(&mut stretch);
            since = None;
        }
    }
    served.unavailable_sum += stretch;
    served
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12}{:>10}{:>10}{:>10}{:>18}{:>12}",
            "operation", "done", "failed", "unknown", "longest without", "in all"
        )?;
        for (kind, Served { done, failed, unknown, unavailable, unavailable_sum }) in &self.0 {
            let kind = format!("{kind:?}");
            let (longest, sum) = (unavailable.as_millis(), unavailable_sum.as_millis());
            writeln!(f, "{kind:<12}{done:>10}{failed:>10}{unknown:>10}{longest:>15} ms{sum:>9} ms")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Version;

    fn write(called: u64, ended: u64, outcome: Outcome) -> Operation {
        let (called, ended) = (Duration::from_millis(called), Duration::from_millis(ended));
        Operation {
            client: 1,
            key: "a".to_owned(),
            action: Action::Write(Version(1)),
            called,
            ended,
            outcome,
        }
    }

    #[test]
    fn a_stretch_ends_with_the_next_success_or_with_the_history() {
        let history = [
            write(0, 10, Outcome::Written),
            write(20, 30, Outcome::Failed),
            write(40, 50, Outcome::Unknown),
            write(60, 70, Outcome::Written),
            write(80, 90, Outcome::Written),
            write(100, 110, Outcome::Failed),
        ];
        let served = Summary::of(&history).of_kind(Kind::Write);
        assert_eq!((served.done, served.failed, served.unknown), (3, 2, 1));
        assert_eq!(
            (served.unavailable, served.unavailable_sum),
            (Duration::from_millis(50), Duration::from_millis(60))
        );
    }
}
