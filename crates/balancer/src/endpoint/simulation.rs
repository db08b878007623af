//! Nodes that fail, hang, leave and come back while requests flow: never more than a third of them is ejected, somebody
//! is always asked, and whoever is well again is asked again. Over the balancer's own table, roster and choice.

use super::node::{Endpoint, Readiness};
use super::outlier::{Standing, ejected_max};
use super::roster::Probing;
use super::table::Table;
use crate::config::Config;
use crate::meters::Meters;
use crate::testing::member;
use onefold_core::Member;
use onefold_core::metrics::Metrics;
use onefold_lab::simulation::{Broken, Chance, Found, Network, Process, Schedules, World, explore};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const NETWORK: Network = Network {
    delay: Duration::from_millis(5),
    late_once_in: 20,
    late: Duration::from_secs(12),
    lost_once_in: 50,
    doubled_once_in: u32::MAX,
};
const REQUESTS: u32 = 150;
/// No answer for so long is a failure.
const TIMEOUT: Duration = Duration::from_secs(2);
const BALANCER: Process = Process(0);
/// What is failing mends itself in the end. Then whoever was ejected has come back after the longest ejection, and
/// after the probe that was lost last.
const MENDED: Duration = Duration::from_mins(6);

/// What the table is told of a failure.
type Failed = fn(&Table, &Endpoint, Duration, Instant);
const AS_IT_IS: Failed = Table::failed;

#[derive(Clone, Debug)]
enum Event {
    /// A request comes.
    Request,
    /// A node answers, or its time is over, what was asked at that time.
    Ended { node: usize, asked: Duration, is_good: bool, request: u32 },
    /// The roster follows what has changed.
    Publish,
    /// A node turns well or ill, ready or not.
    Turn,
}

struct Fleet<'a> {
    world: World<'a, Event>,
    table: Table,
    /// Of the choice between two.
    draw: StdRng,
    endpoints: Vec<Arc<Endpoint>>,
    is_ill: Vec<bool>,
    failed: Failed,
    is_published: bool,
    is_mended: bool,
    requests: u32,
    /// Requests under way: an answer and a timeout for one count once.
    open: Vec<u32>,
}

impl<'a> Fleet<'a> {
    fn new(chance: &'a mut Chance, config: &Config, failed: Failed) -> Self {
        let mut world = World::new(chance, NETWORK, 1);
        let nodes = 2 + world.chance.place(8);
        let metrics = Metrics::new();
        let rules = config.rules(&"a".parse().unwrap());
        let meters = Arc::new(Meters::new(&metrics));
        let table = Table::new(config.endpoint_settings(world.clock(), 1), rules, metrics, meters);
        let members: Vec<Member> = (0..nodes).map(|at| member(at, ["a", "b", "c"][at % 3])).collect();
        table.reconcile(&members.into());
        let endpoints = table.roster.load().all.to_vec();
        world.after(BALANCER, MS, Event::Request);
        world.after(BALANCER, MS, Event::Turn);
        let draw = StdRng::seed_from_u64(u64::from(world.chance.below(1 << 16)));
        let (is_ill, open) = (vec![false; nodes], Vec::new());
        Self {
            world,
            table,
            draw,
            endpoints,
            is_ill,
            failed,
            is_published: true,
            is_mended: false,
            requests: 0,
            open,
        }
    }

    fn run(mut self) -> Result<(), Broken> {
        self.until(Duration::MAX)?;
        self.mend();
        let end = self.world.now() + MENDED;
        self.until(end)?;
        let out =
            self.endpoints.iter().position(|endpoint| !matches!(endpoint.standing(), Standing::Serving(_)));
        match out {
            Some(node) => Err(self.world.broken(format!("node {node} is well and is never asked again"))),
            None => Ok(()),
        }
    }

    fn until(&mut self, end: Duration) -> Result<(), Broken> {
        while let Some((_, event)) = self.world.next(end) {
            match event {
                Event::Request => self.request()?,
                Event::Ended { node, asked, is_good, request } => self.ended(node, asked, is_good, request),
                Event::Publish => {
                    self.table.publish(&self.table.roster.load_full().all);
                    self.is_published = true;
                }
                Event::Turn => self.turn(),
            }
            self.third_at_most()?;
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        self.world.clock().now()
    }

    fn mend(&mut self) {
        self.world.heal();
        self.is_mended = true;
        self.is_ill.fill(false);
        for endpoint in &self.endpoints {
            endpoint.set_readiness(Readiness::Ready, self.now());
        }
        self.changed();
        self.world.after(BALANCER, MS, Event::Request);
    }

    fn request(&mut self) -> Result<(), Broken> {
        self.requests += 1;
        if self.is_mended {
            self.world.after(BALANCER, Duration::from_secs(5), Event::Request);
        } else if self.requests < REQUESTS {
            let longest = if self.world.chance.once_in(30) { Duration::from_secs(40) } else { 40 * MS };
            let gap = self.world.chance.time(longest);
            self.world.after(BALANCER, gap, Event::Request);
        }
        let probing = if self.world.chance.once_in(3) { Probing::Reluctant } else { Probing::Willing };
        let chosen = self.table.roster().choose(&[], probing, self.world.clock().now(), &mut self.draw);
        let Some(chosen) = chosen else {
            // The roster is behind for a moment.
            return if self.is_published {
                Err(self.world.broken("nobody is asked".to_owned()))
            } else {
                Ok(())
            };
        };
        let node = self.endpoints.iter().position(|endpoint| Arc::ptr_eq(endpoint, &chosen)).unwrap();
        let (asked, request, is_good) = (self.world.now(), self.requests, !self.is_ill[node]);
        self.open.push(request);
        self.world.send(BALANCER, Event::Ended { node, asked, is_good, request });
        self.world.after(BALANCER, TIMEOUT, Event::Ended { node, asked, is_good: false, request });
        Ok(())
    }

    fn ended(&mut self, node: usize, asked: Duration, is_good: bool, request: u32) {
        let Some(at) = self.open.iter().position(|open| *open == request) else { return };
        self.open.swap_remove(at);
        let (endpoint, now) = (self.endpoints[node].clone(), self.now());
        let before = endpoint.standing();
        if is_good {
            self.table.succeeded(&endpoint, self.world.since(asked), now);
        } else {
            (self.failed)(&self.table, &endpoint, self.world.since(asked), now);
        }
        let after = endpoint.standing();
        if before != after {
            self.world.note(|| format!("node {node}: {before:?} → {after:?}"));
            self.changed();
        }
    }

    /// Something happens to a node; less often than requests come.
    fn turn(&mut self) {
        if self.is_mended || self.requests >= REQUESTS {
            return;
        }
        let node = self.world.chance.place(self.endpoints.len());
        match self.world.chance.below(4) {
            0 => {}
            1 => {
                self.is_ill[node] = !self.is_ill[node];
                let is_ill = self.is_ill[node];
                self.world.note(|| format!("node {node} is ill: {is_ill}"));
            }
            2 => self.set_readiness(node, Readiness::Unready),
            _ => self.set_readiness(node, Readiness::Ready),
        }
        let gap = self.world.chance.time(Duration::from_secs(3)) + MS;
        self.world.after(BALANCER, gap, Event::Turn);
    }

    fn set_readiness(&mut self, node: usize, readiness: Readiness) {
        if self.endpoints[node].set_readiness(readiness, self.now()) {
            self.world.note(|| format!("node {node} is {readiness:?}"));
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.is_published = false;
        let delay = self.world.chance.time(20 * MS);
        self.world.after(BALANCER, delay, Event::Publish);
    }

    fn third_at_most(&self) -> Result<(), Broken> {
        let out = |endpoint: &&Arc<Endpoint>| !matches!(endpoint.standing(), Standing::Serving(_));
        let (out, all) = (self.endpoints.iter().filter(out).count(), self.endpoints.len());
        if out <= ejected_max(all) {
            return Ok(());
        }
        Err(self.world.broken(format!("{out} of {all} nodes are ejected")))
    }
}

fn simulate(schedules: Schedules, config: &Config, failed: Failed) -> Found {
    explore(schedules, |chance| Fleet::new(chance, config, failed).run())
}

#[test]
fn no_schedule_ejects_more_than_a_third_or_leaves_anybody_out_for_ever() {
    simulate(Schedules::asked(300), &Config::default(), AS_IT_IS).held();
}

#[test]
fn without_the_limit_too_many_are_ejected() {
    let without: Failed = |_, endpoint, latency, now| {
        endpoint.failed(latency, now, true);
    };
    let broken = simulate(Schedules::first(100), &Config::default(), without);
    assert!(broken.broken("no limit").what.contains("nodes are ejected"));
}

#[test]
fn without_panic_nobody_is_asked() {
    let config = Config { panic_below_percent: 0, ..Config::default() };
    assert!(
        simulate(Schedules::first(300).shortened_in(20), &config, AS_IT_IS)
            .broken("no panic")
            .what
            .contains("nobody")
    );
}
