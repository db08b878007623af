//! Writes and `Strong` reads of a key are linearizable (Herlihy and Wing, 1990), decided by the search of Wing and
//! Gong with Lowe's memory of what was tried ("Testing for linearizability", 2017), as Porcupine does it. A write
//! whose outcome is unknown may happen at any time after its call, or never.

use super::by_key;
use crate::history::{Action, Level, Operation, Outcome, Version};
use crate::shrink::smallest;
use crate::verdict::{Verdict, Violation};
use std::collections::HashSet;
use std::time::Duration;

/// Steps of one key's search, which is exponential at worst: a second or two.
const STEPS_MAX: usize = 2_000_000;

/// Whether the writes and strong reads of each key are linearizable.
pub fn check(history: &[Operation]) -> Verdict {
    let (mut checked, mut open) = (0, None);
    for (key, operations) in by_key(history) {
        let operations: Vec<Operation> =
            operations.into_iter().filter(|one| concerns(one)).cloned().collect();
        checked += operations.len();
        match search(&operations) {
            Found::Order => {}
            Found::None => {
                let operations = smallest(operations, |left| search(left) == Found::None);
                let what = format!("no order of these explains what was read of {key}");
                return Verdict::Broken(Violation { what, operations });
            }
            Found::GaveUp => open = Some(key),
        }
    }
    match open {
        Some(key) => Verdict::Unknown(format!("the search for an order of {key} took too many steps")),
        None => Verdict::Held { checked },
    }
}

fn concerns(operation: &Operation) -> bool {
    operation.maybe_written().is_some() || matches!(operation.seen(), Some((Level::Strong, _)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Order,
    None,
    GaveUp,
}

/// One step of the order under trial: which operation, and what the key held before it.
struct Step {
    operation: usize,
    before: Version,
}

/// Looks for an order of one key's operations, which come by the time of their calls.
fn search(operations: &[Operation]) -> Found {
    let operations = without_unseen(operations);
    let mut done = Done::none(operations.len());
    let (mut state, mut steps): (Version, Vec<Step>) = (Version::NONE, Vec::new());
    let mut tried = HashSet::new();
    // Candidates before this one were tried on top of the steps so far.
    let mut from = 0;
    for _ in 0..STEPS_MAX {
        let Some(limit) = first_end(&operations, &done) else { return Found::Order };
        if let Some(operation) = candidate(&operations, &done, state, limit, from) {
            done.set(operation, true);
            let before = state;
            state = after(&operations[operation], state).unwrap_or(state);
            if tried.insert((done.clone(), state)) {
                steps.push(Step { operation, before });
                from = 0;
                continue;
            }
            (from, state) = (operation + 1, before);
            done.set(operation, false);
        } else {
            let Some(step) = back_to_a_write(&operations, &mut steps, &mut done) else { return Found::None };
            (from, state) = (step.operation + 1, step.before);
        }
    }
    Found::GaveUp
}

/// The next operation to try. A read that may be next can as well be: it changes nothing, and only stands in the way.
fn candidate(
    operations: &[Operation],
    done: &Done,
    state: Version,
    limit: Duration,
    from: usize,
) -> Option<usize> {
    let may_be_next = |at: &usize| !done.has(*at) && after(&operations[*at], state).is_some();
    let open = (done.first_absent()..operations.len()).take_while(|at| operations[*at].called <= limit);
    let mut open = open.filter(may_be_next);
    let read = open.clone().find(|at| is_read(&operations[*at]));
    if read.is_some() { read.filter(|read| *read >= from) } else { open.find(|at| *at >= from) }
}

/// Takes steps back to the last one that another order could replace, and that one too.
fn back_to_a_write(operations: &[Operation], steps: &mut Vec<Step>, done: &mut Done) -> Option<Step> {
    while let Some(step) = steps.pop() {
        done.set(step.operation, false);
        if !is_read(&operations[step.operation]) {
            return Some(step);
        }
    }
    None
}

fn is_read(operation: &Operation) -> bool {
    matches!(operation.action, Action::Read(_))
}

/// Writes that may never have happened, and that nobody saw, explain nothing.
fn without_unseen(operations: &[Operation]) -> Vec<Operation> {
    let seen: HashSet<Version> =
        operations.iter().filter_map(Operation::seen).map(|(_, seen)| seen).collect();
    let counts = |operation: &&Operation| match operation.action {
        Action::Write(version) => !may_never_happen(operation) || seen.contains(&version),
        Action::Read(_) => true,
    };
    operations.iter().filter(counts).cloned().collect()
}

/// What the key holds after the operation, where it may happen now.
fn after(operation: &Operation, state: Version) -> Option<Version> {
    match operation.action {
        Action::Write(version) => Some(version),
        Action::Read(_) => operation.seen().filter(|(_, seen)| *seen == state).map(|(_, seen)| seen),
    }
}

fn may_never_happen(operation: &Operation) -> bool {
    operation.outcome == Outcome::Unknown
}

/// The earliest end of what must happen yet: whatever is called later comes after it. None where nothing must.
fn first_end(operations: &[Operation], done: &Done) -> Option<Duration> {
    let mut first: Option<Duration> = None;
    for (at, operation) in operations.iter().enumerate().skip(done.first_absent()) {
        // Nothing ends before its call, and the calls only grow.
        if first.is_some_and(|first| operation.called > first) {
            break;
        }
        if !done.has(at) && !may_never_happen(operation) {
            first = Some(first.map_or(operation.ended, |first| first.min(operation.ended)));
        }
    }
    first
}

/// A set of operations, as bits.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Done(Vec<u64>);

impl Done {
    fn none(length: usize) -> Self {
        Self(vec![0; length.div_ceil(64)])
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn set(&mut self, at: usize, is_done: bool) {
        let bit = 1 << (at % 64);
        if is_done { self.0[at / 64] |= bit } else { self.0[at / 64] &= !bit }
    }

    fn first_absent(&self) -> usize {
        let word = self.0.iter().position(|word| *word != u64::MAX).unwrap_or(self.0.len());
        word * 64 + self.0.get(word).map_or(0, |word| word.trailing_ones() as usize)
    }
}
