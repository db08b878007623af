//! The snapshot that requests choose from: who is in, by zone, and who waits to be tried again.

use super::choice;
use super::node::{Endpoint, Readiness};
use super::outlier::Standing;
use onefold_core::Zone;
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the roster is made by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The zone whose endpoints come first, if one does.
    pub(crate) zone: Option<Zone>,
    /// Fewer healthy endpoints in that zone end its preference.
    pub(crate) zone_endpoints_min: usize,
    /// Below this percentage of healthy endpoints health is ignored.
    pub(crate) panic_below_percent: usize,
}

/// Who can be chosen. Immutable but for one bit of memory: whether the zone is being spilled over.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    pub(crate) all: Box<[Arc<Endpoint>]>,
    /// Of the own zone; or everybody, where there is no preference.
    near: Box<[Arc<Endpoint>]>,
    far: Box<[Arc<Endpoint>]>,
    /// Ejected ones, which one request may try when their time is over.
    ejected: Box<[Arc<Endpoint>]>,
    pub(crate) is_panicking: bool,
    is_spilling: AtomicBool,
}

/// Whether a request may be the one that tries an ejected endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    /// It can be repeated elsewhere: a failed trial costs nobody anything.
    Willing,
    /// It cannot, and only tries where no other request has come for a while.
    Reluctant,
}

impl Probing {
    /// How long after its ejection an endpoint is tried by such a request.
    fn grace(self) -> Duration {
        match self {
            Self::Willing => Duration::ZERO,
            Self::Reluctant => Duration::from_secs(10),
        }
    }
}

impl Roster {
    pub(crate) fn of(all: &[Arc<Endpoint>], rules: &Rules) -> Self {
        let healthy = all.iter().filter(|endpoint| endpoint.is_available()).count();
        let is_panicking = is_panic(healthy, all.len(), rules.panic_below_percent);
        let used = all.iter().filter(|endpoint| is_panicking || endpoint.is_available()).cloned();
        let (mut near, far): (Vec<_>, Vec<_>) =
            used.partition(|endpoint| rules.zone.as_ref().is_none_or(|zone| *zone == endpoint.member.zone));
        let (near, far) = if near.len() >= rules.zone_endpoints_min && !near.is_empty() {
            (near, far)
        } else {
            near.extend(far);
            (near, Vec::new())
        };
        let ejected = all.iter().filter(|endpoint| {
            !matches!(endpoint.standing(), Standing::Serving(_)) && endpoint.readiness() != Readiness::Unready
        });
        Self {
            ejected: ejected.cloned().collect(),
            all: all.into(),
            near: near.into(),
            far: far.into(),
            is_panicking,
            is_spilling: AtomicBool::new(false),
        }
    }

    /// The endpoint for the next try of a request which was `tried` at those already. One of these is taken
    /// again only where there is no other.
    pub(crate) fn choose(
        &self,
        tried: &[Arc<Endpoint>],
        probing: Probing,
        now: Instant,
        chance: &mut impl Rng,
    ) -> Option<Arc<Endpoint>> {
        let grace = probing.grace();
        if let Some(endpoint) = self.ejected.iter().find(|endpoint| endpoint.try_probe(now, grace)) {
            return Some(endpoint.clone());
        }
        let is_new =
            |e: &Arc<Endpoint>| self.is_usable(e) && !tried.iter().any(|tried| Arc::ptr_eq(tried, e));
        let chosen = self.among_zones(is_new, now, chance).or_else(|| {
            if tried.is_empty() { None } else { self.among_zones(|e| self.is_usable(e), now, chance) }
        });
        chosen.cloned()
    }

    fn is_usable(&self, endpoint: &Endpoint) -> bool {
        self.is_panicking || endpoint.is_available()
    }

    fn among_zones(
        &self,
        fits: impl Fn(&Arc<Endpoint>) -> bool + Copy,
        now: Instant,
        chance: &mut impl Rng,
    ) -> Option<&Arc<Endpoint>> {
        let cost = |endpoint: &Arc<Endpoint>| endpoint.cost(now);
        if self.is_panicking {
            // Most are down: two random ones would often both be.
            return choice::cheapest(&self.near, fits, cost)
                .or_else(|| choice::cheapest(&self.far, fits, cost));
        }
        let near = choice::of_two(&self.near, fits, cost, chance);
        if self.far.is_empty() {
            return near;
        }
        let far = choice::of_two(&self.far, fits, cost, chance);
        let (Some(own), Some(other)) = (near, far) else { return near.or(far) };
        let was_spilling = self.is_spilling.load(Ordering::Relaxed);
        let spills = choice::spills(cost(own), own.in_flight(), cost(other), was_spilling);
        if spills != was_spilling {
            self.is_spilling.store(spills, Ordering::Relaxed);
        }
        Some(if spills { other } else { own })
    }
}

/// Whether so few are healthy that the checks are less likely than the nodes, and the rest would be overrun.
fn is_panic(healthy: usize, all: usize, below_percent: usize) -> bool {
    healthy * 100 < all * below_percent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fleet, fleet};
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    fn rules(zone: Option<&str>) -> Rules {
        Rules { zone: zone.map(|zone| zone.parse().unwrap()), zone_endpoints_min: 1, panic_below_percent: 50 }
    }

    fn chosen(fleet: &Fleet, roster: &Roster, times: usize) -> Vec<usize> {
        let mut chance = StdRng::seed_from_u64(7);
        let mut counts = vec![0; fleet.endpoints.len()];
        for _ in 0..times {
            let endpoint = roster.choose(&[], Probing::Reluctant, fleet.clock.now(), &mut chance).unwrap();
            counts[fleet.endpoints.iter().position(|e| Arc::ptr_eq(e, &endpoint)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn the_own_zone_comes_first_until_it_is_loaded() {
        let fleet = fleet(&["a", "b", "c"]);
        let roster = Roster::of(&fleet.endpoints, &rules(Some("b")));
        assert_eq!(chosen(&fleet, &roster, 100), [0, 100, 0]);
        let load: Vec<_> = (0..5).map(|_| fleet.endpoints[1].enter()).collect();
        assert_eq!(chosen(&fleet, &roster, 100)[1], 0, "five in flight there, none elsewhere");
        drop(load);
        assert_eq!(chosen(&fleet, &roster, 100), [0, 100, 0]);
    }

    #[test]
    fn an_unready_endpoint_is_out_and_its_zone_is_served_by_others() {
        let fleet = fleet(&["a", "b", "c"]);
        fleet.endpoints[1].set_readiness(Readiness::Unready, fleet.clock.now());
        let roster = Roster::of(&fleet.endpoints, &rules(Some("b")));
        let counts = chosen(&fleet, &roster, 100);
        assert!(counts[1] == 0 && counts[0] > 20 && counts[2] > 20, "{counts:?}");
        assert!(!roster.is_panicking);
    }

    #[test]
    fn below_half_healthy_health_is_ignored_and_cost_decides() {
        let fleet = fleet(&["a", "b", "c"]);
        let now = fleet.clock.now();
        for endpoint in &fleet.endpoints[..2] {
            endpoint.set_readiness(Readiness::Unready, now);
            endpoint.failed(Duration::ZERO, now, false);
        }
        let roster = Roster::of(&fleet.endpoints, &rules(None));
        assert!(roster.is_panicking);
        assert_eq!(chosen(&fleet, &roster, 50), [0, 0, 50]);
        fleet.endpoints[2].set_readiness(Readiness::Unready, now);
        let roster = Roster::of(&fleet.endpoints, &rules(None));
        assert!(!chosen(&fleet, &roster, 1).is_empty(), "nobody is ready, and still somebody is tried");
    }

    #[test]
    fn a_retry_goes_elsewhere_if_there_is_an_elsewhere() {
        let fleet = fleet(&["a", "b"]);
        let roster = Roster::of(&fleet.endpoints, &rules(Some("a")));
        let mut chance = StdRng::seed_from_u64(7);
        let now = fleet.clock.now();
        let mut choose = |tried: &[Arc<Endpoint>]| {
            let chosen = roster.choose(tried, Probing::Reluctant, now, &mut chance).unwrap();
            chosen.member.zone.to_string()
        };
        assert_eq!(choose(&fleet.endpoints[..1]), "b");
        assert_eq!(choose(&fleet.endpoints), "a", "all were tried");
    }

    #[test]
    fn an_ejected_endpoint_is_tried_once_after_its_time() {
        let fleet = fleet(&["a", "b", "c"]);
        let failing = &fleet.endpoints[0];
        for _ in 0..5 {
            failing.failed(Duration::ZERO, fleet.clock.now(), true);
        }
        let roster = Roster::of(&fleet.endpoints, &rules(None));
        assert_eq!(chosen(&fleet, &roster, 50)[0], 0);
        fleet.clock.advance(Duration::from_secs(30));
        let mut chance = StdRng::seed_from_u64(7);
        let mut probe = |probing| {
            let now = fleet.clock.now();
            Arc::ptr_eq(&roster.choose(&[], probing, now, &mut chance).unwrap(), failing)
        };
        assert!(!probe(Probing::Reluctant), "not yet by what cannot be repeated");
        assert!(probe(Probing::Willing));
        assert!(!probe(Probing::Willing), "one is under way");
    }
}
