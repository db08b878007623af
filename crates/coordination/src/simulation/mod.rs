//! An election among nodes that pause, die and lose answers, whose clocks run fast or slow: at most one of those awake
//! leads, no effect of an overtaken leader is accepted, and in the end somebody leads. Over the candidates and tenures as
//! they are, each node on a runtime whose time the world turns.

mod engine;
mod node;

use engine::{Ask, Engine, Reply, ReplyTo};
use node::{Node, TTL};
use onefold_lab::Verdict;
use onefold_lab::rule::fenced::{self, Effect};
use onefold_lab::simulation::{Broken, Chance, Found, Network, Process, Schedules, World, explore};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const NETWORK: Network = Network {
    delay: Duration::from_millis(20),
    late_once_in: 10,
    late: Duration::from_secs(3),
    lost_once_in: 12,
    doubled_once_in: 12,
};
const NODES: usize = 3;
const ENGINE: Process = Process(NODES);
/// How often a node gets to run, if it is not paused.
const TICK: Duration = Duration::from_millis(100);
const FAULTY: Duration = Duration::from_secs(12);
/// Then all runs well for so long, which is more than the last lease and the last lost answer take.
const HEALED: Duration = Duration::from_secs(9);
const ELECTION: &str = "purge";

/// What may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// Effects are accepted whoever leads.
    NoFence,
    /// A holder counts on twice the time that the engine gives it.
    LeaseCutShort,
    /// Clocks may run at half the speed.
    SlowClocks,
}

#[derive(Clone, Debug)]
enum Event {
    Tick,
    Asked(Ask, ReplyTo),
    Replied(Reply, ReplyTo),
    /// A leader's effect arrives where it is accepted or refused.
    Effect {
        node: usize,
        token: i64,
    },
}

struct Election<'a> {
    world: World<'a, Event>,
    bug: Bug,
    engine: Engine,
    nodes: Vec<Node>,
    effects: Vec<Effect>,
}

impl<'a> Election<'a> {
    fn new(chance: &'a mut Chance, bug: Bug) -> Self {
        let mut world = World::new(chance, NETWORK, NODES + 1);
        let nodes = (0..NODES).map(|at| Node::start(at, drift(&mut world, bug), world.now())).collect();
        for at in 0..NODES {
            world.after(Process(at), MS, Event::Tick);
        }
        let engine = Engine::new(if bug == Bug::LeaseCutShort { 2 } else { 1 });
        Self { world, bug, engine, nodes, effects: Vec::new() }
    }

    fn run(mut self) -> Result<(), Broken> {
        self.until(FAULTY)?;
        self.world.heal();
        for at in 0..NODES {
            self.revive(at);
        }
        let accepted = self.effects.len();
        self.until(FAULTY + HEALED)?;
        if self.effects.len() == accepted {
            return Err(self.world.broken("nobody leads, though all is well".to_owned()));
        }
        match fenced::check(&self.effects) {
            Verdict::Broken(violation) => Err(self.world.broken(violation.what)),
            _ => Ok(()),
        }
    }

    fn until(&mut self, end: Duration) -> Result<(), Broken> {
        while let Some((process, event)) = self.world.next(end) {
            match event {
                Event::Tick => self.tick(process.0, end)?,
                Event::Asked(ask, to) => {
                    let now = self.world.now();
                    let (node, reply) = (ask.node, self.engine.answer(&ask, now));
                    self.world.note(|| format!("engine: node {node} {:?}: {reply:?}", ask.what));
                    self.world.send(Process(node), Event::Replied(reply, to));
                }
                Event::Replied(reply, to) => {
                    to.tell(reply);
                    self.step(process.0)?;
                }
                Event::Effect { node, token } => self.effect(node, token),
            }
        }
        Ok(())
    }

    fn tick(&mut self, at: usize, end: Duration) -> Result<(), Broken> {
        self.step(at)?;
        if let Some(token) = self.nodes[at].leads_as() {
            self.world.send(ENGINE, Event::Effect { node: at, token });
        }
        if end == FAULTY {
            self.may_fail(at);
        }
        if !self.world.is_dead(Process(at)) {
            self.world.after(Process(at), TICK, Event::Tick);
        }
        Ok(())
    }

    /// Lets a node run up to now, and sends what it asks.
    fn step(&mut self, at: usize) -> Result<(), Broken> {
        let before = self.nodes[at].leads_as();
        let calls = self.nodes[at].step(self.world.now());
        for (what, to) in calls {
            self.world.send(ENGINE, Event::Asked(Ask { node: at, what }, to));
        }
        let leads = self.nodes[at].leads_as();
        if before != leads {
            self.world.note(|| format!("node {at} leads as {leads:?}"));
        }
        self.at_most_one_leads()
    }

    /// Of those that ran a moment ago: who was asleep believes what it believed, and only the fence can help.
    fn at_most_one_leads(&self) -> Result<(), Broken> {
        let is_awake = |at: &usize| {
            !self.world.is_dead(Process(*at))
                && !self.world.is_paused(Process(*at))
                && self.world.since(self.nodes[*at].stepped) <= TICK
        };
        let leaders: Vec<usize> =
            (0..NODES).filter(is_awake).filter(|at| self.nodes[*at].leads_as().is_some()).collect();
        if leaders.len() > 1 {
            return Err(self.world.broken(format!("nodes {leaders:?} lead at once")));
        }
        Ok(())
    }

    fn effect(&mut self, node: usize, token: i64) {
        let now = self.world.now();
        if self.bug != Bug::NoFence && !self.engine.is_held(token, now) {
            return;
        }
        self.effects.push(Effect {
            lock: ELECTION.to_owned(),
            holder: format!("node {node}"),
            token: token.unsigned_abs(),
            called: now,
            ended: now,
        });
    }

    fn may_fail(&mut self, at: usize) {
        let process = Process(at);
        if self.world.chance.once_in(30) {
            let how_long = self.world.chance.time(2 * TTL);
            self.world.note(|| format!("node {at} is stopped for {how_long:?}"));
            self.world.pause(process, how_long);
        } else if self.world.chance.once_in(60) {
            self.world.note(|| format!("node {at} dies"));
            self.world.kill(process);
            self.nodes[at].die();
        }
        // Somebody else runs, so there is somebody to start it.
        let dead = (0..NODES).find(|other| self.world.is_dead(Process(*other)));
        if let Some(dead) = dead.filter(|_| self.world.chance.once_in(10)) {
            self.revive(dead);
        }
    }

    fn revive(&mut self, at: usize) {
        if self.world.is_dead(Process(at)) {
            self.world.note(|| format!("node {at} is started"));
            self.world.start(Process(at));
            self.nodes[at] = Node::start(at, drift(&mut self.world, self.bug), self.world.now());
            self.world.after(Process(at), MS, Event::Tick);
        }
    }
}

/// How fast a node's clock runs, in thousandths.
fn drift(world: &mut World<'_, Event>, bug: Bug) -> u32 {
    match bug {
        Bug::SlowClocks => 1000 - 500 * world.chance.below(2),
        _ => [1000, 980, 1020][world.chance.place(3)],
    }
}

fn simulate(schedules: Schedules, bug: Bug) -> Found {
    explore(schedules, |chance| Election::new(chance, bug).run())
}

#[test]
fn at_most_one_leads_and_no_overtaken_leader_has_effects() {
    simulate(Schedules::asked(60), Bug::None).held();
}

#[test]
fn without_the_fence_a_leader_that_slept_has_effects() {
    let found = simulate(Schedules::first(300).shortened_in(40), Bug::NoFence);
    assert!(found.broken("no fence").what.contains("was accepted"), "{found}");
}

#[test]
fn a_lease_that_ends_before_its_holder_believes_has_two_leaders() {
    for bug in [Bug::LeaseCutShort, Bug::SlowClocks] {
        let found = simulate(Schedules::first(300).shortened_in(40), bug);
        assert!(found.broken("the holder counts on too long a lease").what.contains("at once"), "{found}");
    }
}
