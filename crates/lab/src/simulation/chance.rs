//! Where every choice of a schedule comes from.

use std::time::Duration;

/// Draws numbers, and remembers them. Zero is always the calm choice: nothing fails, the first one is next.
#[derive(Clone, Debug)]
pub struct Chance {
    source: Source,
    is_told: bool,
    drawn: Vec<u32>,
}

#[derive(Clone, Debug)]
enum Source {
    /// The state of a `SplitMix64` (Steele et al., 2014). Of our own, so that a seed means the same for ever.
    Seed(u64),
    /// What was drawn once; zero from its end on.
    Script(Vec<u32>),
}

impl Chance {
    /// All choices of the schedule `seed`.
    pub fn of(seed: u64) -> Self {
        Self { source: Source::Seed(seed), is_told: false, drawn: Vec::new() }
    }

    pub(super) fn again(script: &[u32]) -> Self {
        Self { source: Source::Script(script.to_vec()), is_told: false, drawn: Vec::new() }
    }

    /// The same, for somebody who reads along.
    pub(super) fn told(self) -> Self {
        Self { is_told: true, ..self }
    }

    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// What was drawn so far, but for the calm choices at the end.
    pub(super) fn drawn(&self) -> &[u32] {
        let last = self.drawn.iter().rposition(|choice| *choice != 0);
        &self.drawn[..last.map_or(0, |last| last + 1)]
    }

    /// A number below `bound`, which is at least one.
    pub fn below(&mut self, bound: u32) -> u32 {
        let drawn = match &mut self.source {
            Source::Seed(state) => next(state),
            Source::Script(script) => script.get(self.drawn.len()).copied().unwrap_or(0),
        };
        let choice = drawn % bound.max(1);
        self.drawn.push(choice);
        choice
    }

    /// A place in a list of `length`, which is not empty.
    pub fn place(&mut self, length: usize) -> usize {
        self.below(u32::try_from(length).unwrap_or(u32::MAX)) as usize
    }

    /// Something that happens once in `times`, and in no calm schedule.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.below(times) + 1 == times
    }

    /// A time up to `most`, which it may reach.
    pub fn time(&mut self, most: Duration) -> Duration {
        const PARTS: u32 = 32;
        most * self.below(PARTS + 1) / PARTS
    }
}

fn next(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_schedule_and_what_was_drawn_replays_it() {
        let draw = |chance: &mut Chance| (0..50).map(|_| chance.below(7)).collect::<Vec<_>>();
        let mut first = Chance::of(3);
        let drawn = draw(&mut first);
        assert_eq!(drawn, draw(&mut Chance::of(3)));
        assert_ne!(drawn, draw(&mut Chance::of(4)));
        assert_eq!(drawn, draw(&mut Chance::again(first.drawn())));
        assert!((0..7).all(|wanted| drawn.contains(&wanted)), "{drawn:?}");
    }

    #[test]
    fn beyond_its_script_everything_is_calm() {
        let mut calm = Chance::again(&[]);
        assert!(!calm.once_in(2) && calm.below(9) == 0 && calm.time(Duration::from_secs(1)).is_zero());
        assert!(calm.drawn().is_empty());
    }
}
