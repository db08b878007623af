//! Children that stand still on purpose, with all that descends from them.
//!
//! A child that stands still dies with this process like any other: the signal of a parent's death ends it all the same.
//! What descends from it would not: it cannot notice that its parent has gone. So a guard is told of it.

use crate::guard::Guard;
use crate::machine;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// A descendant may start others until it is stopped itself.
const ROUNDS_MAX: usize = 16;

/// Who stands still.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    /// Each child with its descendants.
    still: BTreeMap<Pid, BTreeSet<Pid>>,
    guard: Option<(Guard, Pid)>,
}

impl Stalls {
    /// Stops a child and all that descends from it.
    pub(super) fn pause(&mut self, pid: Pid) -> io::Result<()> {
        let guard = match &mut self.guard {
            Some((guard, _)) => guard,
            none => &mut none.insert(Guard::spawn()?).0,
        };
        let still = self.still.entry(pid).or_default();
        kill(pid, Signal::SIGSTOP)?;
        for _ in 0..ROUNDS_MAX {
            let mut is_whole = true;
            for descendant in machine::descendants(pid, &machine::processes()) {
                if still.insert(descendant) {
                    is_whole = false;
                    guard.add(descendant);
                    // It may be ending at this moment.
                    let _ = kill(descendant, Signal::SIGSTOP);
                }
            }
            if is_whole {
                break;
            }
        }
        Ok(())
    }

    /// Lets them go on.
    pub(super) fn resume(&mut self, pid: Pid) {
        let Some(still) = self.forget(pid) else { return };
        for pid in still.into_iter().chain([pid]) {
            let _ = kill(pid, Signal::SIGCONT);
        }
    }

    /// A child has ended: what descended from it is cleared away as for every other.
    pub(super) fn forget(&mut self, pid: Pid) -> Option<BTreeSet<Pid>> {
        let still = self.still.remove(&pid)?;
        if let Some((guard, _)) = &mut self.guard {
            for descendant in &still {
                guard.remove(*descendant);
            }
        }
        Some(still)
    }

    /// Whether this is the guard, and so nobody's orphan.
    pub(super) fn is_guard(&self, pid: Pid) -> bool {
        self.guard.as_ref().is_some_and(|(_, guard)| *guard == pid)
    }
}
