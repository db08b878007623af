//! Every interleaving of deaths, streams, acknowledgements and the steps of a takeover in a small cluster, with the real
//! [`choose`](super::choice::choose): no acknowledged entry is ever missing at the primary, and nobody is led to a primary
//! whose history is not the continuation of its own. Each rule taken away must be found out.

use super::choice::{Candidate, Found, choose};
use onefold_core::Lsn;
use std::collections::HashSet;

const SERVERS: usize = 3;
const ENTRIES_MAX: u8 = 2;
const DEATHS_MAX: u8 = 3;

/// The rules that a takeover keeps.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule that a test takes away")]
struct Rules {
    /// The whole tree of the fallen primary is gone before anybody is asked.
    fences: bool,
    /// A replica is cut off before it is asked what it holds.
    cuts_off: bool,
    /// One that does not answer counts as possibly ahead.
    hears_all: bool,
    /// One that has not come to where the epoch began may lack what an earlier one acknowledged.
    knows_start: bool,
}

const RULES: Rules = Rules { fences: true, cuts_off: true, hears_all: true, knows_start: true };

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
struct Server {
    log: Vec<u8>,
    /// Its postmaster runs.
    up: bool,
    /// It takes writes, by processes that may outlive its postmaster.
    writes: bool,
    /// Whom its receiver reads from, and what has been sent to it and not read.
    source: Option<usize>,
    in_flight: Vec<u8>,
    /// Up to where it told whom what it has.
    replied: (usize, usize),
    /// The epoch in which it was last led to the primary.
    led: u8,
    /// It has been a primary since it was last a replica.
    may_diverge: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    servers: [Server; SERVERS],
    epoch: u8,
    primary: usize,
    promoted: bool,
    /// What the primary held when it was chosen.
    start: usize,
    /// What is known of each, while somebody is looked for to take over.
    found: Option<[Option<usize>; SERVERS]>,
    acknowledged: Vec<u8>,
    written: u8,
    deaths: u8,
}

impl World {
    fn new() -> Self {
        let mut servers: [Server; SERVERS] = Default::default();
        for (i, server) in servers.iter_mut().enumerate() {
            (server.up, server.writes, server.led) = (true, i == 0, 1);
            server.may_diverge = i == 0;
            server.source = (i > 0).then_some(0);
        }
        Self {
            servers,
            epoch: 1,
            primary: 0,
            promoted: true,
            start: 0,
            found: None,
            acknowledged: Vec::new(),
            written: 0,
            deaths: 0,
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    /// Everything that may happen next.
    fn next(&self, rules: Rules) -> Vec<Self> {
        let mut next = Vec::new();
        for s in 0..SERVERS {
            self.writes(s, &mut next);
            self.streams(s, &mut next);
            self.dies_or_returns(s, &mut next);
        }
        self.takeover(rules, &mut next);
        next
    }

    fn writes(&self, s: usize, next: &mut Vec<Self>) {
        if !self.servers[s].writes {
            return;
        }
        if self.written < ENTRIES_MAX {
            next.push(self.with(|w| {
                w.written += 1;
                w.servers[s].log.push(w.written);
            }));
        }
        for (at, entry) in self.servers[s].log.iter().enumerate() {
            let is_replied = self.servers.iter().any(|r| r.replied.0 == s && r.replied.1 > at);
            if is_replied && !self.acknowledged.contains(entry) {
                next.push(self.with(|w| w.acknowledged.push(*entry)));
            }
        }
    }

    fn streams(&self, r: usize, next: &mut Vec<Self>) {
        let Server { log, source: Some(s), in_flight, up: true, .. } = &self.servers[r] else { return };
        let (from, sent) = (&self.servers[*s], log.len() + in_flight.len());
        if from.writes && from.log.len() > sent && from.log.starts_with(log) {
            let entry = from.log[sent];
            next.push(self.with(|w| w.servers[r].in_flight.push(entry)));
        }
        if !in_flight.is_empty() {
            next.push(self.with(|w| {
                let entry = w.servers[r].in_flight.remove(0);
                w.servers[r].log.push(entry);
                if w.servers[*s].writes {
                    w.servers[r].replied = (*s, w.servers[r].log.len());
                }
            }));
        }
    }

    fn dies_or_returns(&self, s: usize, next: &mut Vec<Self>) {
        let server = &self.servers[s];
        if server.up && self.deaths < DEATHS_MAX {
            next.push(self.with(|w| {
                w.deaths += 1;
                w.servers[s].up = false;
                w.servers[s].let_go();
            }));
        }
        let is_chosen = s == self.primary;
        // A primary comes back by the takeover; a fallen one waits for its successor.
        let may_return = if is_chosen { !self.promoted } else { !server.may_diverge || self.promoted };
        if !server.up && !server.writes && may_return {
            next.push(self.with(|w| {
                if w.servers[s].may_diverge && !is_chosen {
                    w.rewind(s);
                }
                w.servers[s].up = true;
                if !is_chosen {
                    w.lead(s);
                }
            }));
        }
        let is_led_elsewhere = !is_chosen && server.source != Some(self.primary);
        if server.up && self.promoted && self.found.is_none() && is_led_elsewhere {
            next.push(self.with(|w| w.lead(s)));
        }
    }

    fn rewind(&mut self, s: usize) {
        let primary = self.servers[self.primary].log.clone();
        let server = &mut self.servers[s];
        let common = server.log.iter().zip(&primary).take_while(|(own, other)| own == other).count();
        server.log.truncate(common);
        server.may_diverge = false;
    }

    fn lead(&mut self, s: usize) {
        let (epoch, primary) = (self.epoch, self.primary);
        self.servers[s].let_go();
        self.servers[s].led = epoch;
        self.servers[s].source = Some(primary);
    }

    fn takeover(&self, rules: Rules, next: &mut Vec<Self>) {
        let primary = &self.servers[self.primary];
        match &self.found {
            None if !self.promoted && primary.up => next.push(self.with(|w| {
                w.promoted = true;
                let primary = &mut w.servers[w.primary];
                primary.let_go();
                (primary.writes, primary.may_diverge) = (true, true);
            })),
            None if self.promoted && !primary.up => next.push(self.with(|w| {
                w.servers[w.primary].writes &= !rules.fences;
                w.found = Some([None; SERVERS]);
            })),
            None => {}
            Some(found) => self.vote(rules, found, next),
        }
    }

    fn vote(&self, rules: Rules, found: &[Option<usize>; SERVERS], next: &mut Vec<Self>) {
        let followers: Vec<usize> =
            (0..SERVERS).filter(|&s| s != self.primary && self.servers[s].led == self.epoch).collect();
        for &s in followers.iter().filter(|&&s| self.servers[s].up && found[s].is_none()) {
            next.push(self.with(|w| {
                if rules.cuts_off {
                    w.servers[s].let_go();
                }
                let held = w.servers[s].log.len();
                w.found.as_mut().unwrap()[s] = Some(held);
            }));
        }
        // Patience may be over at any time.
        let candidates =
            followers.iter().filter(|&&s| rules.hears_all || found[s].is_some()).map(|&server| {
                let held = found[server].map(|held| Found::Holds(Lsn(held as u64)));
                Candidate { server, found: held.unwrap_or(Found::Unknown) }
            });
        let start = Lsn(if rules.knows_start { self.start as u64 } else { 0 });
        let chosen = choose(&candidates.collect::<Vec<_>>(), start, None);
        next.push(self.with(|w| {
            w.found = None;
            if let Some(chosen) = chosen {
                (w.epoch, w.primary, w.promoted) = (w.epoch + 1, chosen.server, false);
                w.start = w.servers[chosen.server].log.len();
            } else {
                let primary = &mut w.servers[w.primary];
                (primary.up, primary.writes, primary.may_diverge) = (true, true, true);
            }
        }));
    }

    /// What is wrong here.
    fn fault(&self) -> Option<&'static str> {
        let primary = &self.servers[self.primary];
        if self.found.is_none() && self.acknowledged.iter().any(|entry| !primary.log.contains(entry)) {
            return Some("an acknowledged entry is lost");
        }
        let mut led = self.servers.iter().filter(|server| server.source == Some(self.primary));
        if self.promoted && led.any(|server| !primary.log.starts_with(&server.log)) {
            return Some("a replica is led to a history that is not its own");
        }
        None
    }
}

impl Server {
    fn let_go(&mut self) {
        self.source = None;
        self.in_flight.clear();
    }
}

/// Looks at every state; answers how many there are, or the first that is wrong.
fn explore(rules: Rules) -> Result<usize, String> {
    let mut seen = HashSet::from([World::new()]);
    let mut open = vec![World::new()];
    while let Some(world) = open.pop() {
        if let Some(fault) = world.fault() {
            return Err(format!("{fault}: {world:#?}"));
        }
        for next in world.next(rules) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn no_interleaving_loses_an_acknowledged_entry_or_parts_a_history() {
    let states = explore(RULES).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(states > 10_000, "only {states} states");
}

#[test]
fn each_rule_taken_away_is_found_out() {
    for (rules, what) in [
        (Rules { fences: false, ..RULES }, "the fence"),
        (Rules { cuts_off: false, ..RULES }, "cutting off"),
        (Rules { hears_all: false, ..RULES }, "the word of the silent"),
        (Rules { knows_start: false, ..RULES }, "the start of the epoch"),
    ] {
        assert!(explore(rules).is_err(), "nothing is wrong without {what}");
    }
}
