//! The endpoints: kept in step with the members, published as a [`Roster`].
//!
//! Static stability: what the configuration service last said stays in force while it is away. A watch that ends
//! changes nothing, and one that says "nobody" is not believed: the checks of the nodes themselves decide then.

use super::latency::first_guess;
use super::node::{Endpoint, Readiness, Settings};
use super::outlier::{Change, Standing, ejected_max};
use super::roster::{Roster, Rules};
use super::status::EndpointStatus;
use crate::meters::{EndpointMeters, Meters};
use arc_swap::ArcSwap;
use onefold_core::metrics::Metrics;
use onefold_core::{Member, Members, Role};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// All endpoints of a balancer.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) settings: Arc<Settings>,
    rules: Rules,
    metrics: Metrics,
    meters: Arc<Meters>,
    pub(super) roster: ArcSwap<Roster>,
    /// Something changed that the roster does not show yet.
    pub(super) changed: Notify,
    /// A node gave a hint that its readiness has changed.
    pub(super) doubted: Notify,
    /// Held while one more ejection is decided, so that two at once do not both find room.
    ejecting: Mutex<()>,
}

impl Table {
    pub(crate) fn new(settings: Settings, rules: Rules, metrics: Metrics, meters: Arc<Meters>) -> Self {
        Self {
            settings: Arc::new(settings),
            rules,
            metrics,
            meters,
            roster: ArcSwap::default(),
            changed: Notify::new(),
            doubted: Notify::new(),
            ejecting: Mutex::new(()),
        }
    }

    /// The present roster.
    pub(crate) fn roster(&self) -> arc_swap::Guard<Arc<Roster>> {
        self.roster.load()
    }

    pub(crate) fn statuses(&self, now: Instant) -> Vec<EndpointStatus> {
        self.roster().all.iter().map(|endpoint| EndpointStatus::of(endpoint, now)).collect()
    }

    /// Takes the members as they are and, where there are some, keeps only these.
    pub(crate) fn reconcile(&self, members: &Members) {
        let current = self.roster.load_full();
        let now = self.settings.clock.now();
        let guess = first_guess(current.all.iter().map(|endpoint| endpoint.latency(now)));
        let next = reconciled(&current.all, members, |member, address| {
            let meters = EndpointMeters::new(&self.metrics, member.name.as_str());
            Endpoint::new(member.clone(), address, meters, guess, self.settings.clone())
        });
        if next.is_empty() && !current.all.is_empty() {
            tracing::warn!(endpoints = current.all.len(), "no members are left; the last ones stay in force");
            return;
        }
        for gone in current.all.iter().filter(|old| !next.iter().any(|new| Arc::ptr_eq(old, new))) {
            gone.meters.healthy.set(0.0);
            gone.meters.in_flight.set(0.0);
        }
        self.publish(&next);
        self.doubted.notify_one();
    }

    /// Notes a good answer.
    pub(crate) fn succeeded(&self, endpoint: &Endpoint, latency: Duration, now: Instant) {
        if endpoint.succeeded(latency, now) == Change::Returned {
            tracing::info!(endpoint = %endpoint.member.name, "endpoint is back");
            self.changed.notify_one();
        }
    }

    /// Notes that the endpoint is full, which shows that it is alive.
    pub(crate) fn refused(&self, endpoint: &Endpoint, now: Instant) {
        if endpoint.refused(now) == Change::Returned {
            tracing::info!(endpoint = %endpoint.member.name, "endpoint is back");
            self.changed.notify_one();
        }
    }

    /// Notes a failure of the endpoint, which may eject it.
    pub(crate) fn failed(&self, endpoint: &Endpoint, latency: Duration, now: Instant) {
        let _one_at_a_time;
        let may_eject = endpoint.is_due() && {
            _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
            self.has_room()
        };
        if let Change::Ejected(length) = endpoint.failed(latency, now, may_eject) {
            tracing::warn!(
                endpoint = %endpoint.member.name,
                seconds = length.as_secs_f64(),
                "endpoint ejected: too many requests failed in a row"
            );
            self.changed.notify_one();
        }
    }

    /// Takes a node out that answered as a leaving one does, until a check finds it ready.
    pub(crate) fn leaving(&self, endpoint: &Endpoint, now: Instant) {
        if endpoint.set_readiness(Readiness::Unready, now) {
            tracing::info!(endpoint = %endpoint.member.name, "endpoint is leaving");
            self.changed.notify_one();
        }
        self.doubt();
    }

    /// Asks for a check soon: the node closed a connection, which it does when it leaves.
    pub(crate) fn doubt(&self) {
        self.doubted.notify_one();
    }

    fn has_room(&self) -> bool {
        let roster = self.roster();
        let out = roster.all.iter().filter(|e| !matches!(e.standing(), Standing::Serving(_))).count();
        out < ejected_max(roster.all.len())
    }

    pub(super) fn publish(&self, endpoints: &[Arc<Endpoint>]) {
        let roster = Roster::of(endpoints, &self.rules);
        let was_panicking = self.roster().is_panicking;
        if roster.is_panicking && !was_panicking {
            tracing::warn!("most endpoints are unhealthy: health is ignored");
        }
        self.meters.panicking.set(if roster.is_panicking { 1.0 } else { 0.0 });
        self.roster.store(Arc::new(roster));
    }

    /// Sets gauges and closes idle connections.
    pub(super) fn tick(&self) {
        let roster = self.roster.load_full();
        let now = self.settings.clock.now();
        for endpoint in &roster.all {
            let meters = &endpoint.meters;
            meters.in_flight.set(f64::from(endpoint.in_flight()));
            meters.healthy.set(if endpoint.is_available() { 1.0 } else { 0.0 });
            meters.latency.set(endpoint.latency(now).as_secs_f64());
            for thread in 0..self.settings.threads {
                endpoint.pool(thread).sweep(now);
            }
        }
    }
}

/// The endpoints for `members`: those that are the same node at the same place, in the same start, are kept with
/// all that is known of them.
fn reconciled(
    current: &[Arc<Endpoint>],
    members: &Members,
    make: impl Fn(&Member, std::net::SocketAddr) -> Endpoint,
) -> Vec<Arc<Endpoint>> {
    let app = members.iter().filter(|member| member.role == Role::App);
    app.filter_map(|member| {
        let address = member.address?;
        let known = current.iter().find(|endpoint| endpoint.member == *member);
        Some(known.cloned().unwrap_or_else(|| Arc::new(make(member, address))))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::testing::member;
    use onefold_core::Clock;

    fn table(clock: &Clock) -> Table {
        let config = Config::default();
        let metrics = Metrics::new();
        let meters = Arc::new(Meters::new(&metrics));
        let settings = config.endpoint_settings(clock, 1);
        Table::new(settings, config.rules(&"a".parse().unwrap()), metrics, meters)
    }

    #[test]
    fn the_last_members_stay_when_none_are_left() {
        let table = table(&Clock::manual());
        let members: Members = [member(0, "a"), member(1, "b")].into();
        table.reconcile(&members);
        table.reconcile(&Members::from([]));
        assert_eq!(table.roster().all.len(), 2);
        table.reconcile(&[members[1].clone()].into());
        assert_eq!(table.roster().all.len(), 1);
    }

    #[test]
    fn a_node_that_stays_keeps_its_record_and_one_that_restarts_does_not() {
        let clock = Clock::manual();
        let table = table(&clock);
        let members: Members = [member(0, "a"), member(1, "b")].into();
        table.reconcile(&members);
        let before = table.roster.load_full();
        let restarted: Members = [members[0].clone(), member(1, "b")].into();
        table.reconcile(&restarted);
        let after = table.roster.load_full();
        assert!(Arc::ptr_eq(&before.all[0], &after.all[0]));
        assert!(!Arc::ptr_eq(&before.all[1], &after.all[1]), "another start is another endpoint");
    }

    #[test]
    fn endpoints_that_are_full_are_neither_ejected_nor_taken_for_quick() {
        let clock = Clock::manual();
        let table = table(&clock);
        table.reconcile(&[member(0, "a"), member(1, "b")].into());
        let roster = table.roster.load_full();
        let before = roster.all[0].cost(clock.now());
        for _ in 0..100 {
            table.refused(&roster.all[0], clock.now());
        }
        assert!(roster.all[0].is_available() && roster.all[0].is_full(clock.now()));
        assert!(roster.all[0].cost(clock.now()) >= before && !roster.all[1].is_full(clock.now()));
        clock.advance(Duration::from_millis(101));
        assert!(!roster.all[0].is_full(clock.now()));
    }

    #[test]
    fn no_more_than_a_third_and_at_least_one_is_ejected() {
        let clock = Clock::manual();
        let table = table(&clock);
        let members: Vec<Member> = (0..6).map(|i| member(i, "a")).collect();
        table.reconcile(&members.into());
        let roster = table.roster.load_full();
        for _ in 0..10 {
            for endpoint in &roster.all {
                table.failed(endpoint, Duration::ZERO, clock.now());
            }
        }
        assert_eq!(roster.all.iter().filter(|endpoint| !endpoint.is_available()).count(), 2);
    }
}
