//! The desk in front of a server that is simulated in virtual time: what it lets through at a load below, at and far
//! above what the server can do, for many kinds of work and orders of chance.

use super::desk::{Arrival, Desk};
use super::limit::{Limit, Sample};
use super::line::Ticket;
use super::priority::Priority;
use http::Method;
use onefold_core::Clock;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_millis(250);

/// A server with so many cores, whose requests take their turn one after the other.
#[derive(Clone, Copy, Debug)]
struct Work {
    cores: usize,
    /// The mean of a quick and a dear route, in seconds, and the share of the dear one.
    quick: f64,
    dear: f64,
    share: f64,
}

impl Work {
    const EVEN: Self = Self { cores: 2, quick: 0.005, dear: 0.005, share: 0.0 };

    /// Requests a second.
    fn capacity(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few cores")]
        let cores = self.cores as f64;
        cores / (self.quick * (1.0 - self.share) + self.dear * self.share)
    }
}

#[derive(Debug)]
struct Request {
    arrived: Instant,
    began: Instant,
    route: &'static str,
    work: Duration,
    in_flight: u32,
    priority: Priority,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    Ends(u64),
    Gives(u64),
}

struct World {
    clock: Clock,
    chance: SmallRng,
    work: Work,
    desk: Desk<u64>,
    requests: HashMap<u64, Request>,
    tickets: HashMap<u64, Ticket>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    queue: VecDeque<u64>,
    busy: usize,
    serial: u64,
    /// Arrived, and answered in time, by priority.
    seen: [(u32, u32); 3],
    refused: u32,
    /// Slower by this factor than at first.
    slowness: f64,
    low_and_high: f64,
}

impl World {
    fn new(work: Work, limit: fn(Instant) -> Limit, seed: u64) -> Self {
        let clock = Clock::manual();
        Self {
            desk: Desk::new(limit(clock.now()), clock.now()),
            clock,
            chance: SmallRng::seed_from_u64(seed),
            work,
            requests: HashMap::new(),
            tickets: HashMap::new(),
            events: BinaryHeap::new(),
            queue: VecDeque::new(),
            busy: 0,
            serial: 0,
            seen: [(0, 0); 3],
            refused: 0,
            slowness: 1.0,
            low_and_high: 0.0,
        }
    }

    /// Runs under a load of so many requests a second, and answers how many a second were answered in time.
    fn goodput(&mut self, rate: f64, seconds: u64) -> f64 {
        self.seen = [(0, 0); 3];
        let end = self.clock.now() + Duration::from_secs(seconds);
        self.events.retain(|Reverse((_, _, event))| *event != Event::Arrives);
        self.later(Duration::ZERO, Event::Arrives);
        while let Some(Reverse((at, ..))) = self.events.peek()
            && *at < end
        {
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.clock.advance(at.saturating_duration_since(self.clock.now()));
            self.happen(event, rate);
        }
        self.clock.advance(end.saturating_duration_since(self.clock.now()));
        let good: u32 = self.seen.iter().map(|(_, good)| good).sum();
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let seconds = seconds as f64;
        f64::from(good) / seconds
    }

    fn happen(&mut self, event: Event, rate: f64) {
        match event {
            Event::Arrives => {
                let pause = self.exponential(1.0 / rate);
                self.later(pause, Event::Arrives);
                self.arrive();
            }
            Event::Ends(id) => self.end(id),
            Event::Gives(id) => {
                if let Some(ticket) = self.tickets.remove(&id) {
                    self.desk.leave(ticket, self.clock.now());
                    self.refuse(id);
                }
            }
        }
    }

    fn arrive(&mut self) {
        let now = self.clock.now();
        let id = self.next();
        let is_dear = self.chance.random::<f64>() < self.work.share;
        let (route, mean) = if is_dear { ("dear", self.work.dear) } else { ("quick", self.work.quick) };
        let work = self.exponential(mean * self.slowness);
        let priority = match self.chance.random::<f64>() {
            drawn if drawn < self.low_and_high => Priority::Low,
            drawn if drawn < 2.0 * self.low_and_high => Priority::High,
            _ => Priority::Normal,
        };
        self.seen[priority as usize].0 += 1;
        self.requests.insert(id, Request { arrived: now, began: now, route, work, in_flight: 0, priority });
        match self.desk.arrive(priority, DEADLINE, now, || id) {
            Arrival::Runs(in_flight) => self.run(id, in_flight),
            Arrival::Waits(ticket, patience) => {
                self.tickets.insert(id, ticket);
                self.later(patience, Event::Gives(id));
            }
            Arrival::Refused(_) => self.refuse(id),
        }
    }

    fn refuse(&mut self, id: u64) {
        self.refused += 1;
        self.requests.remove(&id);
    }

    fn run(&mut self, id: u64, in_flight: u32) {
        let now = self.clock.now();
        self.tickets.remove(&id);
        let request = self.requests.get_mut(&id).unwrap();
        (request.began, request.in_flight) = (now, in_flight);
        self.queue.push_back(id);
        self.serve();
    }

    /// What nobody waits for any more is done all the same, as a statement on a shared connection is.
    fn serve(&mut self) {
        while self.busy < self.work.cores
            && let Some(id) = self.queue.pop_front()
        {
            self.busy += 1;
            let work = self.requests[&id].work;
            self.later(work, Event::Ends(id));
        }
    }

    fn end(&mut self, id: u64) {
        let now = self.clock.now();
        self.busy -= 1;
        let request = self.requests.remove(&id).unwrap();
        if now - request.arrived <= DEADLINE {
            self.seen[request.priority as usize].1 += 1;
        }
        let took = now - request.began;
        let sample = Sample {
            method: &Method::GET,
            route: request.route,
            took,
            left: DEADLINE.saturating_sub(request.began - request.arrived),
            in_flight: request.in_flight,
        };
        self.desk.depart(Some(sample), now);
        while let Some((id, in_flight)) = self.desk.call(now) {
            self.run(id, in_flight);
        }
        self.serve();
    }

    fn later(&mut self, pause: Duration, event: Event) {
        let serial = self.next();
        self.events.push(Reverse((self.clock.now() + pause, serial, event)));
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn exponential(&mut self, mean: f64) -> Duration {
        let drawn: f64 = self.chance.random();
        Duration::from_secs_f64(-(1.0 - drawn).ln() * mean)
    }
}

fn unlimited(_: Instant) -> Limit {
    Limit::Fixed(1_000_000)
}

/// Goodput as a share of what the server can do, at that many times its capacity.
fn share(work: Work, limit: fn(Instant) -> Limit, load: f64, seed: u64) -> f64 {
    let mut world = World::new(work, limit, seed);
    let capacity = work.capacity();
    // A calm beginning, as after a start, and a while to settle.
    world.goodput(capacity * 0.3, 5);
    world.goodput(capacity * load, 5);
    world.goodput(capacity * load, 10) / capacity
}

#[test]
fn goodput_stays_at_three_times_the_load_and_collapses_without_a_limit() {
    let work = Work::EVEN;
    let [half, one, two, three] = [0.5, 1.0, 2.0, 3.0].map(|load| share(work, Limit::adaptive, load, 1));
    assert!(half > 0.45 && one > 0.85 && two > 0.85 && three > 0.85, "{half} {one} {two} {three}");
    let without = share(work, unlimited, 3.0, 1);
    assert!(without < 0.05, "{without}");
}

#[test]
fn a_start_under_three_times_the_load_comes_through() {
    let work = Work { quick: 0.02, dear: 0.02, ..Work::EVEN };
    let mut world = World::new(work, Limit::adaptive, 7);
    world.goodput(work.capacity() * 3.0, 5);
    let goodput = world.goodput(work.capacity() * 3.0, 10) / work.capacity();
    assert!(goodput > 0.8, "{goodput}, at a limit of {}", world.desk.limit());
}

#[test]
fn a_server_that_becomes_four_times_slower_is_found_again_and_so_is_one_that_recovers() {
    let work = Work { quick: 0.01, dear: 0.01, ..Work::EVEN };
    let mut world = World::new(work, Limit::adaptive, 3);
    let capacity = work.capacity();
    world.goodput(capacity * 0.3, 5);
    world.slowness = 4.0;
    world.goodput(capacity * 0.75, 10);
    let slow = world.goodput(capacity * 0.75, 10) / (capacity / 4.0);
    assert!(slow > 0.8, "{slow} at three times what is left");
    world.slowness = 1.0;
    world.goodput(capacity * 0.9, 10);
    let again = world.goodput(capacity * 0.9, 10) / (capacity * 0.9);
    assert!(again > 0.9, "{again}");
}

#[test]
fn what_matters_more_is_answered_more_often() {
    let mut world = World::new(Work::EVEN, Limit::adaptive, 5);
    world.low_and_high = 0.1;
    world.goodput(Work::EVEN.capacity() * 2.0, 5);
    world.goodput(Work::EVEN.capacity() * 2.0, 10);
    let [low, normal, high] = world.seen.map(|(arrived, good)| f64::from(good) / f64::from(arrived));
    assert!(low < normal && normal < high && high > 0.9, "{low} {normal} {high}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_work_overload_costs_little_and_calm_costs_nothing(
        cores in 1_usize..9, quick in 0.001..0.01_f64, factor in 1.0..5.0_f64, share_dear in 0.0..0.5_f64,
        load in 1.5..4.0_f64, seed: u64,
    ) {
        let work = Work { cores, quick, dear: quick * factor, share: share_dear };
        let overload = share(work, Limit::adaptive, load, seed);
        prop_assert!(overload > 0.75, "{overload}");
        let mut calm = World::new(work, Limit::adaptive, seed);
        calm.goodput(work.capacity() * 0.5, 5);
        let (arrived, _) = calm.seen[Priority::Normal as usize];
        prop_assert!(f64::from(calm.refused) < 0.02 * f64::from(arrived), "{} of {arrived} refused", calm.refused);
    }

    /// Whatever comes: never more than allowed at once, nobody is lost, and the limit stays within its bounds.
    #[test]
    fn everybody_runs_waits_or_is_refused_and_leaves(moves in proptest::collection::vec((0_u8..6, 1_u64..400), 1..400)) {
        let clock = Clock::manual();
        let mut desk = Desk::new(Limit::adaptive(clock.now()), clock.now());
        let (mut running, mut waiting, mut id) = (0_u32, Vec::new(), 0_u64);
        for (act, millis) in moves {
            clock.advance(Duration::from_millis(millis) / 20);
            let now = clock.now();
            match act {
                0..=2 => {
                    id += 1;
                    let priority = [Priority::Low, Priority::Normal, Priority::High][usize::from(act)];
                    match desk.arrive(priority, DEADLINE, now, || id) {
                        Arrival::Runs(in_flight) => {
                            running += 1;
                            prop_assert_eq!(in_flight, running);
                            prop_assert!(in_flight <= desk.limit() + (desk.limit() / 10).max(1));
                        }
                        Arrival::Waits(ticket, patience) => {
                            prop_assert!(patience <= DEADLINE / 2 && priority != Priority::Low);
                            waiting.push(ticket);
                        }
                        Arrival::Refused(_) => {}
                    }
                }
                3 => {
                    if let Some(ticket) = waiting.pop() {
                        desk.leave(ticket, now);
                        prop_assert!(!desk.leave(ticket, now));
                    }
                }
                _ if running > 0 => {
                    running -= 1;
                    let took = Duration::from_millis(millis);
                    desk.depart(Some(Sample { method: &Method::GET, route: "/", took, left: DEADLINE, in_flight: running + 1 }), now);
                }
                _ => {}
            }
            while let Some((_, in_flight)) = desk.call(now) {
                running += 1;
                prop_assert_eq!(in_flight, running);
            }
            prop_assert_eq!(desk.in_flight(), running);
            prop_assert!(desk.waiting() <= desk.limit().max(16) as usize && (4..=1000).contains(&desk.limit()));
        }
    }
}
