//! Runs one schedule after the other, and tells of the first that breaks a promise.

use super::chance::Chance;
use super::shorten::shorten;
use std::fmt;

/// A promise that a schedule broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What happened, in words.
    pub what: String,
    /// What led there, step by step.
    pub steps: Vec<String>,
}

/// Which schedules are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedules {
    first: u64,
    count: u64,
    shortening_tries: usize,
}

impl Schedules {
    /// The first `count`.
    pub fn first(count: u64) -> Self {
        Self { first: 1, count, shortening_tries: 100 }
    }

    /// `count` from `seed` on: a planted bug is found sooner from a seed that has found it.
    pub fn from(seed: u64, count: u64) -> Self {
        Self { first: seed, ..Self::first(count) }
    }

    /// The first `count`, unless the environment says otherwise: `ONEFOLD_SEED` is the first one, and the only one unless
    /// `ONEFOLD_SCHEDULES` says how many.
    ///
    /// # Panics
    /// Where one of them is no number.
    pub fn asked(count: u64) -> Self {
        let (seed, schedules) = (number("ONEFOLD_SEED"), number("ONEFOLD_SCHEDULES"));
        let count = schedules.or(seed.map(|_| 1)).unwrap_or(count);
        Self { first: seed.unwrap_or(1), count, shortening_tries: 400 }
    }

    /// How many schedules may be run in search of a shorter one, where each takes long.
    #[must_use]
    pub fn shortened_in(self, tries: usize) -> Self {
        Self { shortening_tries: tries, ..self }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no topology that could say it")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What the schedules came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a broken promise is told by this alone"]
pub enum Found {
    /// No schedule broke a promise.
    Held {
        /// How many were run.
        schedules: u64,
    },
    /// One did.
    Broken {
        /// What it is made of: `ONEFOLD_SEED` runs it again.
        seed: u64,
        /// Choices of the shortest one found that breaks a promise too.
        choices: usize,
        /// What that one did.
        broken: Broken,
    },
}

/// Runs schedules until one breaks a promise, and shortens that one.
pub fn explore(schedules: Schedules, mut run: impl FnMut(&mut Chance) -> Result<(), Broken>) -> Found {
    for seed in schedules.first..schedules.first.saturating_add(schedules.count) {
        let mut chance = Chance::of(seed);
        let Err(first) = run(&mut chance) else { continue };
        let script = shorten(chance.drawn().to_vec(), schedules.shortening_tries, |script| {
            run(&mut Chance::again(script)).is_err()
        });
        // Where real servers take part, the shortened one may do better when it is run once more.
        let broken = run(&mut Chance::again(&script).told()).err().unwrap_or(first);
        return Found::Broken { seed, choices: script.len(), broken };
    }
    Found::Held { schedules: schedules.count }
}

impl Found {
    /// Nothing may have been broken.
    ///
    /// # Panics
    /// With the seed and the shortest schedule, where something was.
    #[track_caller]
    pub fn held(&self) {
        println!("{self}");
        assert!(matches!(self, Self::Held { .. }), "{self}");
    }

    /// A bug was planted, and has to be found. Answers what was broken.
    ///
    /// # Panics
    /// Where it was not found.
    #[track_caller]
    pub fn broken(&self, bug: &str) -> &Broken {
        let Self::Broken { broken, .. } = self else { panic!("{bug}: nothing was broken: {self}") };
        println!("{bug}: {self}");
        broken
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { schedules } => write!(f, "held in {schedules} schedules"),
            Self::Broken { seed, choices, broken: Broken { what, steps } } => {
                write!(
                    f,
                    "ONEFOLD_SEED={seed} breaks it: {what}\nthe shortest schedule found, of {choices} choices:"
                )?;
                steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken by a third unlucky choice.
    fn unlucky(chance: &mut Chance) -> Result<(), Broken> {
        let steps: Vec<String> =
            (0..100).filter(|_| chance.once_in(20)).map(|at| format!("unlucky at {at}")).collect();
        if steps.len() < 3 { Ok(()) } else { Err(Broken { what: "thrice".to_owned(), steps }) }
    }

    #[test]
    fn the_shortest_schedule_of_a_broken_promise_is_told_with_its_seed() {
        let found = explore(Schedules::first(100), unlucky);
        assert_eq!(found.broken("a third").steps, ["unlucky at 0", "unlucky at 1", "unlucky at 2"]);
        let Found::Broken { seed, choices: 3, .. } = found else { panic!("{found}") };
        assert!(unlucky(&mut Chance::of(seed)).is_err(), "the seed replays it");
    }

    #[test]
    fn without_a_broken_promise_all_schedules_are_run() {
        let found = explore(Schedules::first(7), |_| Ok(()));
        assert_eq!(found, Found::Held { schedules: 7 });
    }
}
