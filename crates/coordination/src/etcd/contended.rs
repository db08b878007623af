//! Which locks this process has lately met in another's hands.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More names than that at once, and all are forgotten: it costs a lease that is given back.
const NAMES_MAX: usize = 1000;

/// Names of locks.
#[derive(Debug, Default)]
pub(super) struct Contended(Mutex<HashSet<String>>);

impl Contended {
    pub(super) fn is_noted(&self, name: &str) -> bool {
        self.lock().contains(name)
    }

    pub(super) fn note(&self, name: &str) {
        let mut names = self.lock();
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(name.to_owned());
    }

    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_noted_until_they_are_forgotten_or_too_many() {
        let contended = Contended::default();
        contended.note("a");
        contended.note("b");
        contended.forget("b");
        assert!(contended.is_noted("a") && !contended.is_noted("b"));
        (0..NAMES_MAX).for_each(|n| contended.note(&n.to_string()));
        assert!(!contended.is_noted("a") && contended.lock().len() <= NAMES_MAX);
    }
}
