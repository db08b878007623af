//! Which replica a read goes to: in this zone before others, the less busy of two, never one that is suspect,
//! ejected or lags too far.

use crate::servers::{Server, Servers};
use onefold_core::Lsn;
use rand::RngExt as _;
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a read needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The primary.
    Primary,
    /// A server that has replayed this much.
    Replayed(Lsn),
    /// A server that is no staler than this.
    Fresh(Duration),
    /// Any live server.
    Nothing,
}

impl Servers {
    /// A replica that is known to fulfil the need: `preferred` if it still does, else the less busy of two drawn
    /// from this zone, or from all where this zone has none.
    pub(crate) fn ready(
        &self,
        need: Need,
        not: Option<&Arc<Server>>,
        preferred: Option<&Arc<Server>>,
    ) -> Option<Arc<Server>> {
        let fits = |server: &&Arc<Server>| {
            is_candidate(server, not) && self.fulfils(server, need, server.state().replayed.lsn)
        };
        if let Some(preferred) = preferred.filter(fits) {
            return Some(Arc::clone(preferred));
        }
        let fit = self.all().iter().filter(fits);
        less_busy(fit.clone().filter(|server| server.is_near)).or_else(|| less_busy(fit)).cloned()
    }

    /// Replicas worth asking whether they have come as far as `lsn`, the most advanced first.
    pub(crate) fn askable(&self, lsn: Lsn, not: Option<&Arc<Server>>) -> Vec<Arc<Server>> {
        let now = self.clock().now();
        let worth = |server: &&Arc<Server>| {
            is_candidate(server, not)
                && server.on_history.load(Ordering::Relaxed)
                && !server.is_held_back(lsn, now)
        };
        let mut found: Vec<_> = self.all().iter().filter(worth).cloned().collect();
        found.sort_by_cached_key(|server| (Reverse(server.state().replayed.lsn), !server.is_near));
        found
    }

    /// Whether a replica that has replayed this much fulfils the need.
    pub(crate) fn fulfils(&self, server: &Server, need: Need, replayed: Lsn) -> bool {
        let on_history = || server.on_history.load(Ordering::Relaxed);
        match need {
            Need::Primary => false,
            Need::Nothing => true,
            Need::Replayed(lsn) => on_history() && replayed >= lsn,
            Need::Fresh(staleness) => {
                let known = self.samples().staleness(server.state().timeline, replayed, self.clock().now());
                on_history() && known.is_some_and(|known| known <= staleness)
            }
        }
    }
}

fn is_candidate(server: &Arc<Server>, not: Option<&Arc<Server>>) -> bool {
    server.open.load(Ordering::Relaxed) && !not.is_some_and(|not| Arc::ptr_eq(server, not))
}

/// Power of two choices.
fn less_busy<'a>(mut servers: impl Iterator<Item = &'a Arc<Server>> + Clone) -> Option<&'a Arc<Server>> {
    let count = servers.clone().count();
    if count < 2 {
        return servers.next();
    }
    let draw = || servers.clone().nth(rand::rng().random_range(0..count));
    // A server may have closed since it was counted.
    let (one, other) = (draw().or_else(|| servers.clone().next())?, draw());
    Some(other.filter(|other| other.busy() < one.busy()).unwrap_or(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ServerEntry};
    use crate::connection::Tick;
    use crate::connector::Opening;
    use crate::lane::Reaper;
    use crate::meters::Meters;
    use crate::servers::probe::Answer;
    use crate::servers::{Role, endpoints};
    use onefold_core::metrics::Metrics;
    use onefold_core::{Clock, Secret, TaskGroup};

    /// Servers n1, n2, … in these zones, for a node in zone a; the first is the primary, the others have replayed
    /// what it has flushed.
    fn servers(zones: &[&str], clock: &Clock) -> Servers {
        let entry = |(i, zone): (usize, &&str)| ServerEntry {
            name: format!("n{}", i + 1).parse().unwrap(),
            zone: Some(zone.parse().unwrap()),
            url: Secret::new(format!("postgres://127.0.0.1:{}", i + 1)),
        };
        let config = Config { servers: zones.iter().enumerate().map(entry).collect(), ..Config::default() };
        let tasks = TaskGroup::new();
        let (node, zone) = ("app-a".parse().unwrap(), "a".parse().unwrap());
        let (reaper, drivers) = (&Reaper::start(&tasks), &tasks);
        let opening = Opening { node: &node, zone: &zone, config: &config, reaper, drivers, clock };
        let all = endpoints(&config).unwrap().into_iter().map(|at| Arc::new(Server::new(at, opening)));
        let servers = Servers::new(all.collect(), &config, Meters::new(&Metrics::new()), clock.clone());
        for (i, server) in servers.all().iter().enumerate() {
            server.answered(
                if i == 0 { Role::Primary } else { Role::Replica },
                1,
                i.try_into().unwrap(),
                clock.now(),
            );
            server.observe(Lsn(100), Tick(10), Tick(1));
        }
        servers.samples().note(clock.now(), 1, Lsn(100));
        servers.reckon();
        servers
    }

    fn drawn(servers: &Servers, need: Need) -> Vec<String> {
        let draw = |_| servers.ready(need, None, None).map(|server| server.name.to_string());
        let mut names: Vec<String> = (0..100).filter_map(draw).collect();
        names.sort();
        names.dedup();
        names
    }

    #[tokio::test]
    async fn a_read_stays_in_its_zone_while_a_server_there_will_do() {
        let servers = servers(&["a", "a", "b", "b"], &Clock::manual());
        assert_eq!(drawn(&servers, Need::Nothing), ["n2"]);
        assert_eq!(drawn(&servers, Need::Replayed(Lsn(100))), ["n2"]);
        servers.all()[1].suspect();
        assert_eq!(drawn(&servers, Need::Nothing), ["n3", "n4"]);
        servers.all()[2].observe(Lsn(120), Tick(11), Tick(1));
        assert_eq!(drawn(&servers, Need::Replayed(Lsn(110))), ["n3"]);
        assert_eq!(drawn(&servers, Need::Primary), <[&str; 0]>::default());
    }

    #[tokio::test]
    async fn positions_count_only_on_the_timeline_of_the_primary() {
        let (clock, zones) = (Clock::manual(), ["a", "a", "b"]);
        let servers = servers(&zones, &clock);
        servers.all()[1].answered(Role::Replica, 2, 1, clock.now());
        servers.reckon();
        assert_eq!(drawn(&servers, Need::Replayed(Lsn(1))), ["n3"]);
        assert_eq!(drawn(&servers, Need::Fresh(Duration::from_secs(5))), ["n3"]);
        assert_eq!(drawn(&servers, Need::Nothing), ["n2"]);
        let asked = servers.askable(Lsn(200), None);
        assert_eq!(asked.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["n3"]);
    }

    #[tokio::test]
    async fn a_replica_that_lags_too_far_takes_no_reads_until_it_has_caught_up() {
        let clock = Clock::manual();
        let servers = servers(&["a", "b"], &clock);
        clock.advance(Duration::from_secs(11));
        servers.samples().note(clock.now(), 1, Lsn(500));
        servers.reckon();
        assert_eq!(drawn(&servers, Need::Nothing), <[&str; 0]>::default());
        servers.all()[1].observe(Lsn(500), Tick(12), Tick(1));
        servers.reckon();
        assert_eq!(drawn(&servers, Need::Nothing), ["n2"]);
    }

    #[tokio::test]
    async fn the_newer_timeline_is_the_primary_of_two_that_claim_it() {
        let clock = Clock::manual();
        let servers = servers(&["a", "b"], &clock);
        servers.all()[1].answered(Role::Primary, 2, 1, clock.now());
        servers.reckon();
        assert_eq!(servers.primary(None).await.unwrap().server.name.as_str(), "n2");
    }

    #[tokio::test]
    async fn a_server_of_another_cluster_is_never_used_and_says_why() {
        let servers = servers(&["a", "a"], &Clock::manual());
        let answer = |system| Answer { is_replica: true, lsn: Lsn(500), timeline: 1, system, start: 1 };
        let [ours, other] = servers.all() else { unreachable!() };
        servers.role_of(ours, &answer(7));
        let role = servers.role_of(other, &answer(8));
        other.answered(role, 1, 1, servers.clock().now());
        servers.reckon();
        assert_eq!(drawn(&servers, Need::Nothing), <[&str; 0]>::default());
        let trouble = servers.status()[1].trouble.clone().unwrap();
        assert!(trouble.contains("another cluster") && trouble.contains('8'), "{trouble}");
    }
}
