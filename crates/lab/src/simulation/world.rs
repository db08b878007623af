//! Processes on a virtual clock, and a network between them that keeps no promise.

use super::chance::Chance;
use super::explore::Broken;
use onefold_core::Clock;
use std::collections::BTreeMap;
use std::time::Duration;

/// One process of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process(pub usize);

/// What may become of a message; of each, once in so many messages.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// It takes up to this, as a rule.
    pub delay: Duration,
    /// It takes up to `late` instead.
    pub late_once_in: u32,
    /// The longest that one is under way.
    pub late: Duration,
    /// It is lost.
    pub lost_once_in: u32,
    /// It comes twice.
    pub doubled_once_in: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Life {
    /// How often it was started: what was meant for an earlier life does not come.
    number: u32,
    is_dead: bool,
    /// Nothing happens to it before then.
    paused_until: Duration,
}

/// When, and the how-manieth of that moment.
type Moment = (Duration, u64);

#[derive(Debug)]
struct Pending<E> {
    to: Process,
    life: u32,
    event: E,
}

/// A world whose events have type `E`.
#[derive(Debug)]
pub struct World<'a, E> {
    /// For the choices of those who live here.
    pub chance: &'a mut Chance,
    network: Network,
    clock: Clock,
    now: Duration,
    pending: BTreeMap<Moment, Pending<E>>,
    count: u64,
    lives: Vec<Life>,
    steps: Vec<String>,
}

impl<'a, E: Clone> World<'a, E> {
    /// A world of so many processes, all of which run.
    pub fn new(chance: &'a mut Chance, network: Network, processes: usize) -> Self {
        let lives = vec![Life::default(); processes];
        Self {
            chance,
            network,
            clock: Clock::manual(),
            now: Duration::ZERO,
            pending: BTreeMap::new(),
            count: 0,
            lives,
            steps: Vec::new(),
        }
    }

    /// Time since the beginning.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Time since then.
    pub fn since(&self, then: Duration) -> Duration {
        self.now.saturating_sub(then)
    }

    /// The same time, as production code asks for it.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// From now on messages come, soon and once.
    pub fn heal(&mut self) {
        self.network = Network {
            late: self.network.delay,
            lost_once_in: u32::MAX,
            doubled_once_in: u32::MAX,
            ..self.network
        };
    }

    /// Sets a timer of `process`, which does not outlive it.
    pub fn after(&mut self, process: Process, delay: Duration, event: E) {
        self.push(process, self.now + delay, event);
    }

    /// Sends a message, which may come late, twice, before an earlier one or never. Not to a life that begins after this.
    pub fn send(&mut self, to: Process, event: E) {
        if self.chance.once_in(self.network.lost_once_in) {
            return;
        }
        if self.chance.once_in(self.network.doubled_once_in) {
            let at = self.arrival();
            self.push(to, at, event.clone());
        }
        let at = self.arrival();
        self.push(to, at, event);
    }

    fn arrival(&mut self) -> Duration {
        let is_late = self.chance.once_in(self.network.late_once_in);
        let most = if is_late { self.network.late } else { self.network.delay };
        self.now + self.chance.time(most)
    }

    fn push(&mut self, to: Process, at: Duration, event: E) {
        self.count += 1;
        let life = self.lives[to.0].number;
        self.pending.insert((at, self.count), Pending { to, life, event });
    }

    /// `SIGSTOP`: what happens to it waits until its `SIGCONT`, after this.
    pub fn pause(&mut self, process: Process, how_long: Duration) {
        let life = &mut self.lives[process.0];
        life.paused_until = life.paused_until.max(self.now + how_long);
    }

    /// Whether it is stopped.
    pub fn is_paused(&self, process: Process) -> bool {
        self.now < self.lives[process.0].paused_until
    }

    /// `SIGKILL`: its timers, and what is on the way to it, are gone.
    pub fn kill(&mut self, process: Process) {
        let life = &mut self.lives[process.0];
        *life = Life { number: life.number + 1, is_dead: true, paused_until: Duration::ZERO };
    }

    /// Starts a process that was killed.
    pub fn start(&mut self, process: Process) {
        self.lives[process.0].is_dead = false;
    }

    /// Whether it was killed, and not started again.
    pub fn is_dead(&self, process: Process) -> bool {
        self.lives[process.0].is_dead
    }

    /// What happens next, and to whom; the clock moves there. None where nothing will before `until`.
    pub fn next(&mut self, until: Duration) -> Option<(Process, E)> {
        loop {
            let first = self.pending.first_entry().filter(|first| first.key().0 < until)?;
            let ((at, order), pending) = first.remove_entry();
            let life = self.lives[pending.to.0];
            if life.is_dead || life.number != pending.life {
                continue;
            }
            let moved = at.saturating_sub(self.now);
            self.clock.advance(moved);
            self.now += moved;
            if self.now < life.paused_until {
                self.pending.insert((life.paused_until, order), pending);
                continue;
            }
            return Some((pending.to, pending.event));
        }
    }

    /// Takes down what happened, for whoever reads a broken schedule.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if self.chance.is_told() {
            self.steps.push(format!("{:9.3} s  {}", self.now.as_secs_f64(), what()));
        }
    }

    /// A promise was broken here.
    pub fn broken(&self, what: String) -> Broken {
        Broken { what, steps: self.steps.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const UNRELIABLE: Network = Network {
        delay: MS,
        late_once_in: 4,
        late: Duration::from_secs(1),
        lost_once_in: 4,
        doubled_once_in: 4,
    };

    fn arrivals(chance: &mut Chance) -> Vec<u32> {
        let mut world = World::new(chance, UNRELIABLE, 1);
        (0..100).for_each(|number| world.send(Process(0), number));
        std::iter::from_fn(|| world.next(Duration::from_mins(1))).map(|(_, number)| number).collect()
    }

    #[test]
    fn messages_are_lost_doubled_and_reordered_by_the_seed() {
        let came = arrivals(&mut Chance::of(1));
        assert_eq!(came, arrivals(&mut Chance::of(1)));
        let times = |number: u32| came.iter().filter(|came| **came == number).count();
        assert!((0..100).any(|number| times(number) == 0), "some are lost");
        assert!((0..100).any(|number| times(number) == 2), "some come twice");
        assert!(!came.is_sorted(), "some come before earlier ones");
        assert_eq!(
            arrivals(&mut Chance::again(&[])),
            (0..100).collect::<Vec<_>>(),
            "none of it where all is calm"
        );
    }

    #[test]
    fn a_paused_process_hears_everything_later_and_a_dead_one_nothing() {
        let mut calm = Chance::again(&[]);
        let mut world = World::new(&mut calm, UNRELIABLE, 2);
        let (paused, dead) = (Process(0), Process(1));
        world.after(paused, MS, "timer");
        world.after(dead, 5 * MS, "of the first life");
        world.pause(paused, 10 * MS);
        world.kill(dead);
        world.start(dead);
        world.after(dead, 20 * MS, "of the second life");
        let mut told = Vec::new();
        while let Some((_, what)) = world.next(Duration::from_secs(1)) {
            told.push((world.now(), what));
        }
        assert_eq!(told, [(10 * MS, "timer"), (20 * MS, "of the second life")]);
    }
}
