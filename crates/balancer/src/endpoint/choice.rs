//! Which endpoint comes next: the power of two choices by expected latency, the own zone first.
//!
//! Two at random and the better of them: within a constant of the best, without the herd that follows a global
//! minimum (Mitzenmacher 1996; Finagle, linkerd and Envoy alike).

use rand::{Rng, RngExt as _};
use std::time::Duration;

/// An endpoint of newcomers gets at least this share of the load it could take.
const SLOW_START_SHARE_MIN: f32 = 0.1;

/// What a request there is expected to cost, in seconds: latency times what is in flight, this one included.
/// A newcomer looks dearer than it is until `slow_start` has passed.
pub(crate) fn cost(latency_seconds: f32, in_flight: u32, age: Duration, slow_start: Duration) -> f32 {
    let share = if age >= slow_start { 1.0 } else { age.as_secs_f32() / slow_start.as_secs_f32() };
    // In flight is bounded by the limits of connections and queues, far below where f32 loses integers.
    let in_flight = f32::from(u16::try_from(in_flight).unwrap_or(u16::MAX));
    latency_seconds * (in_flight + 1.0) / share.max(SLOW_START_SHARE_MIN)
}

/// The better of two of `among`, drawn at random from those that `fits`.
pub(crate) fn of_two<'a, T>(
    among: &'a [T],
    fits: impl Fn(&T) -> bool,
    cost: impl Fn(&T) -> f32,
    chance: &mut impl Rng,
) -> Option<&'a T> {
    let (first, second) = draw(among.len(), chance)?;
    let (first, second) = (&among[first], &among[second]);
    match (fits(first), fits(second)) {
        (true, true) if cost(second) < cost(first) => Some(second),
        (true, _) => Some(first),
        (false, true) => Some(second),
        // Rare: tried already, or out since the snapshot.
        (false, false) => cheapest(among, fits, cost),
    }
}

/// The best of `among` that `fits`. For the few moments in which two random ones are not good enough.
pub(crate) fn cheapest<T>(among: &[T], fits: impl Fn(&T) -> bool, cost: impl Fn(&T) -> f32) -> Option<&T> {
    among.iter().filter(|t| fits(t)).min_by(|a, b| cost(a).total_cmp(&cost(b)))
}

/// Two different places out of `count`, or one twice.
fn draw(count: usize, chance: &mut impl Rng) -> Option<(usize, usize)> {
    match count {
        0 => None,
        1 => Some((0, 0)),
        _ => {
            let first = chance.random_range(0..count);
            let second = chance.random_range(0..count - 1);
            Some((first, if second < first { second } else { second + 1 }))
        }
    }
}

/// The own zone is left once it is expected to cost this many times what another would …
const SPILL_ENTER: f32 = 2.0;
/// … and come back to below this; between the two it stays as it is, so that load does not swing.
const SPILL_LEAVE: f32 = 1.25;
/// Even an idle endpoint of the own zone is not worth this many times the latency of another.
const SPILL_ALWAYS: f32 = 8.0;
/// Below this many requests in flight an endpoint is not loaded.
const LOADED_IN_FLIGHT: u32 = 2;

/// Whether a request leaves the own zone, whose better endpoint costs `own`, for one that costs `other`.
/// `spilling` is what the last request did.
///
/// By load, not by host count: Envoy's zone routing fails with one host in each zone.
pub(crate) fn spills(own: f32, own_in_flight: u32, other: f32, spilling: bool) -> bool {
    let is_loaded = own_in_flight >= LOADED_IN_FLIGHT;
    let bound = match (is_loaded, spilling) {
        (true, true) => SPILL_LEAVE,
        (true, false) => SPILL_ENTER,
        (false, _) => SPILL_ALWAYS,
    };
    own > other * bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const NO_START: Duration = Duration::ZERO;

    #[test]
    fn the_cheaper_of_two_is_taken_and_the_dear_one_not_starved_of_a_look() {
        let mut chance = StdRng::seed_from_u64(1);
        let costs = [(0, 1.0_f32), (1, 2.0), (2, 3.0)];
        let mut taken = [0; 3];
        for _ in 0..3000 {
            let chosen = of_two(&costs, |_| true, |c| c.1, &mut chance).unwrap();
            taken[chosen.0] += 1;
        }
        assert!(taken[0] > 1800 && taken[1] > 800, "{taken:?}");
        assert_eq!(taken[2], 0, "the dearest of three loses every pair");
    }

    #[test]
    fn a_newcomer_starts_slowly() {
        let window = Duration::from_secs(10);
        let full = cost(0.01, 0, window, window);
        assert!((cost(0.01, 0, Duration::ZERO, window) - full * 10.0).abs() < 1e-6);
        assert!((cost(0.01, 0, window / 2, window) - full * 2.0).abs() < 1e-6);
        assert!((cost(0.01, 3, NO_START, NO_START) - full * 4.0).abs() < 1e-6);
    }

    #[test]
    fn the_own_zone_is_left_when_loaded_and_returned_to_with_hysteresis() {
        assert!(!spills(1.0, 0, 0.3, false), "three times slower but idle: stays");
        assert!(spills(1.0, 0, 0.1, false), "ten times slower: leaves even when idle");
        assert!(!spills(1.9, 5, 1.0, false));
        assert!(spills(2.1, 5, 1.0, false));
        assert!(spills(1.5, 5, 1.0, true), "once out it stays out …");
        assert!(!spills(1.2, 5, 1.0, true), "… until the zone is nearly as good");
    }

    proptest! {
        #[test]
        fn a_choice_fits_and_is_never_the_worst_of_many(
            costs in proptest::collection::vec(0.001_f32..10.0, 1..12),
            barred in proptest::collection::vec(any::<bool>(), 12),
            seed in any::<u64>(),
        ) {
            let items: Vec<(usize, f32)> = costs.iter().copied().enumerate().collect();
            let fits = |item: &(usize, f32)| !barred[item.0];
            let mut chance = StdRng::seed_from_u64(seed);
            let chosen = of_two(&items, fits, |item| item.1, &mut chance);
            prop_assert_eq!(chosen.is_some(), items.iter().any(fits));
            if let Some(chosen) = chosen {
                prop_assert!(fits(chosen));
                let others = items.iter().filter(|i| fits(i) && i.0 != chosen.0).count();
                let dearer = items.iter().any(|i| i.0 != chosen.0 && i.1 >= chosen.1);
                prop_assert!(others == 0 || dearer || items.iter().filter(|i| fits(i)).count() < items.len());
            }
        }

        #[test]
        fn two_draws_differ(count in 2_usize..50, seed in any::<u64>()) {
            let (first, second) = draw(count, &mut StdRng::seed_from_u64(seed)).unwrap();
            prop_assert!(first != second && first < count && second < count);
        }
    }
}
