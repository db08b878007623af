//! Requests through nodes that die, hang and lose answers: what must not be done twice is not, and retries stay within
//! their budget, in every stretch of time. Over the balancer's own rule and budget.

use super::retry::{self, Case, Reason};
use crate::config::Config;
use onefold_core::retry::RetryBudget;
use onefold_lab::simulation::{Broken, Chance, Found, Network, Process, Schedules, World, explore};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const NETWORK: Network = Network {
    delay: Duration::from_millis(10),
    late_once_in: 30,
    late: Duration::from_secs(3),
    lost_once_in: 25,
    doubled_once_in: u32::MAX,
};
const REQUESTS: usize = 400;
const TIMEOUT: Duration = Duration::from_secs(1);
const BALANCER: Process = Process(0);
const NODES: usize = 3;

/// The rules under test: one may be replaced by a bug.
#[derive(Clone, Copy)]
struct Rules {
    may_retry: fn(Reason, Case) -> bool,
    budget: fn(&Config, Instant) -> Box<dyn Budget>,
}

const AS_THEY_ARE: Rules = Rules {
    may_retry: retry::may_retry,
    budget: |config, now| Box::new(RetryBudget::new(config.retry_share, config.retry_per_second, now)),
};

trait Budget {
    fn deposit(&self, now: Instant);
    fn withdraw(&self, now: Instant) -> bool;
}

impl Budget for RetryBudget {
    fn deposit(&self, now: Instant) {
        RetryBudget::deposit(self, now);
    }

    fn withdraw(&self, now: Instant) -> bool {
        RetryBudget::withdraw(self, now)
    }
}

/// A bug: whoever comes with a failure is granted a retry.
struct Endless;

impl Budget for Endless {
    fn deposit(&self, _: Instant) {}

    fn withdraw(&self, _: Instant) -> bool {
        true
    }
}

/// A bug: what is not spent is kept for ever.
struct Hoard {
    config: Config,
    began: Instant,
    balance: std::cell::Cell<f64>,
}

impl Budget for Hoard {
    fn deposit(&self, _: Instant) {
        self.balance.set(self.balance.get() + self.config.retry_share);
    }

    fn withdraw(&self, now: Instant) -> bool {
        let dripped = (now - self.began).as_secs_f64() * self.config.retry_per_second;
        let granted = self.balance.get() + dripped >= 1.0;
        self.balance.set(self.balance.get() - if granted { 1.0 } else { 0.0 });
        granted
    }
}

#[derive(Clone, Debug)]
enum Event {
    Arrives,
    /// At a node: a try of a request.
    Tried(usize, u8),
    /// At the balancer: that try has ended, well or for this reason.
    Ended(usize, u8, Option<Reason>),
}

struct Request {
    is_idempotent: bool,
    tries: u8,
    done: u32,
    is_answered: bool,
}

struct Proxy<'a> {
    world: World<'a, Event>,
    rules: Rules,
    config: Config,
    budget: Box<dyn Budget>,
    requests: Vec<Request>,
    /// When each retry was granted, and how many requests had come by then.
    granted: Vec<(Duration, usize)>,
}

impl<'a> Proxy<'a> {
    fn new(chance: &'a mut Chance, rules: Rules) -> Self {
        let mut world = World::new(chance, NETWORK, 1 + NODES);
        let config = Config::default();
        let budget = (rules.budget)(&config, world.clock().now());
        world.after(BALANCER, MS, Event::Arrives);
        Self { world, rules, config, budget, requests: Vec::new(), granted: Vec::new() }
    }

    fn run(mut self) -> Result<(), Broken> {
        while let Some((process, event)) = self.world.next(Duration::MAX) {
            match event {
                Event::Arrives => self.arrives(),
                Event::Tried(request, tried) => self.tried(process, request, tried)?,
                Event::Ended(request, tried, reason) => self.ended(request, tried, reason)?,
            }
        }
        Ok(())
    }

    fn arrives(&mut self) {
        let is_idempotent = self.world.chance.once_in(2);
        self.requests.push(Request { is_idempotent, tries: 0, done: 0, is_answered: false });
        if self.requests.len() < REQUESTS {
            let longest = if self.world.chance.once_in(150) { Duration::from_hours(8) } else { 40 * MS };
            let gap = self.world.chance.time(longest);
            self.world.after(BALANCER, gap, Event::Arrives);
        }
        if self.world.chance.once_in(15) {
            self.turn();
        }
        self.budget.deposit(self.world.clock().now());
        self.send(self.requests.len() - 1);
    }

    fn send(&mut self, request: usize) {
        let node = Process(1 + self.world.chance.place(NODES));
        self.requests[request].tries += 1;
        let tried = self.requests[request].tries;
        if self.world.is_dead(node) {
            // Nobody listens there; or the connection was closed before anything was written.
            let reason = if self.world.chance.once_in(2) { Reason::Unsent } else { Reason::Connect };
            self.world.after(BALANCER, MS, Event::Ended(request, tried, Some(reason)));
        } else {
            self.world.send(node, Event::Tried(request, tried));
            self.world.after(BALANCER, TIMEOUT, Event::Ended(request, tried, Some(Reason::Reset)));
        }
    }

    fn tried(&mut self, node: Process, request: usize, tried: u8) -> Result<(), Broken> {
        if self.world.chance.once_in(40) {
            self.world.send(BALANCER, Event::Ended(request, tried, Some(Reason::Draining)));
            return Ok(());
        }
        let Request { is_idempotent, done, .. } = &mut self.requests[request];
        *done += 1;
        let (is_idempotent, done) = (*is_idempotent, *done);
        self.world.note(|| format!("{node:?} does request {request} at its try {tried}"));
        if done > 1 && !is_idempotent {
            return Err(self.world.broken(format!("request {request} was done twice")));
        }
        self.world.send(BALANCER, Event::Ended(request, tried, None));
        Ok(())
    }

    fn ended(&mut self, at: usize, tried: u8, reason: Option<Reason>) -> Result<(), Broken> {
        let request = &mut self.requests[at];
        // An answer to an earlier try, whose time was over.
        if request.is_answered || request.tries != tried {
            return Ok(());
        }
        let retries_max = self.config.retries_max;
        let case = Case {
            is_idempotent: request.is_idempotent,
            is_replayable: true,
            retries: tried - 1,
            retries_max,
        };
        let is_retried = reason.is_some_and(|reason| (self.rules.may_retry)(reason, case))
            && self.budget.withdraw(self.world.clock().now());
        if !is_retried {
            request.is_answered = true;
            return Ok(());
        }
        self.world.note(|| format!("request {at} is tried again after {reason:?}"));
        self.within_budget()?;
        self.send(at);
        Ok(())
    }

    /// Whatever moment one begins to count at: no more retries than what may have been saved by then, a share of the
    /// requests since, and the drip.
    fn within_budget(&mut self) -> Result<(), Broken> {
        let (now, requests) = (self.world.now(), self.requests.len());
        self.granted.push((now, requests));
        let saved = self.config.retry_per_second * 10.0;
        for (at, (since, before)) in self.granted.iter().enumerate() {
            let granted = count(self.granted.len() - at);
            let dripped = self.world.since(*since).as_secs_f64() * self.config.retry_per_second;
            // The first retry and its request are among those counted.
            let most = 1.0 + saved + count(requests - before + 1) * self.config.retry_share + dripped + 1e-6;
            if granted > most {
                let what = format!("{granted} retries since {since:?}, of at most {most}");
                return Err(self.world.broken(what));
            }
        }
        Ok(())
    }

    /// A node dies, or is started again, or is stopped for a while.
    fn turn(&mut self) {
        let node = Process(1 + self.world.chance.place(NODES));
        match self.world.chance.below(3) {
            0 => self.world.pause(node, 1500 * MS),
            1 if self.world.is_dead(node) => self.world.start(node),
            _ => self.world.kill(node),
        }
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn simulate(schedules: Schedules, rules: Rules) -> Found {
    explore(schedules, |chance| Proxy::new(chance, rules).run())
}

#[test]
fn no_schedule_does_anything_twice_or_overdraws_the_budget() {
    simulate(Schedules::asked(400), AS_THEY_ARE).held();
}

#[test]
fn a_retry_of_what_may_have_begun_is_done_twice() {
    let careless = |_, case| retry::may_retry(Reason::Unsent, case);
    let found = simulate(Schedules::first(100), Rules { may_retry: careless, ..AS_THEY_ARE });
    assert!(found.broken("whatever was sent is tried again").what.contains("was done twice"));
}

#[test]
fn a_budget_that_is_endless_or_never_decays_lets_a_storm_through() {
    let endless = Rules { budget: |_, _| Box::new(Endless), ..AS_THEY_ARE };
    assert!(simulate(Schedules::first(100), endless).broken("no budget").what.contains("retries since"));
    let hoard = |config: &Config, began| -> Box<dyn Budget> {
        Box::new(Hoard { config: config.clone(), began, balance: 0.0.into() })
    };
    let hoarding = Rules { budget: hoard, ..AS_THEY_ARE };
    assert!(simulate(Schedules::first(300), hoarding).broken("no decay").what.contains("retries since"));
}
