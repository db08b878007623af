//! Clients whose every read and write is recorded.

use super::check::{Event, Promise, Read, Write};
use crate::node::{Node, anybody, eventually};
use onefold_cache::Cached;
use onefold_core::Clock;
use onefold_database::{Read as Level, Session};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);
pub(super) const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
pub(crate) const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();

const BOUND: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(5);

/// Counts a thing's versions in the order of its commits, which wait for each other at its row.
pub(super) const WRITE: &str = "insert into thing values ($1, '1')
    on conflict (id) do update set value = (thing.value::int8 + 1)::text returning value";

/// What happened.
pub(crate) struct History {
    events: Mutex<Vec<Event>>,
    clock: Clock,
}

impl History {
    pub(super) fn new() -> Self {
        Self { events: Mutex::default(), clock: Clock::system() }
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until some more has happened.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only Redis is made to fail in parts here")
    )]
    pub(crate) async fn goes_on(&self, why: &str) {
        const SOME: usize = 50;
        let length = || self.events.lock().unwrap_or_else(PoisonError::into_inner).len();
        let before = length();
        eventually(why, async || length() >= before + SOME).await;
    }

    fn note(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// A thing was written: an entry of each key space is made of it.
    pub(super) fn wrote(&self, session: Option<usize>, id: &str, version: u64, invalidated: Option<Instant>) {
        let known = self.now();
        for things in [&CHEAP, &DEAR] {
            let key = things.key(id).text().to_owned();
            self.note(Event::Write(Write { session, key, version, known, invalidated }));
        }
    }

    /// Reads an entry of each key space, and notes what came of it.
    pub(super) async fn read(&self, node: &Node, session: &Session, promise: Promise, id: &str) {
        for things in [&CHEAP, &DEAR] {
            let begun = self.now();
            let value = node.get(session, things, id).await;
            let version = value.map_or(0, |value| value.parse().unwrap());
            let key = things.key(id).text().to_owned();
            self.note(Event::Read(Read { promise, key, begun, version }));
        }
    }
}

/// Names of things, numbered.
pub(crate) fn named(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}-{n}")).collect()
}

/// Which things there are.
#[derive(Default)]
pub(crate) struct Things {
    /// Clients write them.
    pub(crate) live: Vec<String>,
    /// Only those write them who die of it.
    pub(crate) orphaned: Vec<String>,
    /// As those; and only sessions that ask for nothing read them, so that nobody's demand heals what is wrong.
    pub(crate) unattended: Vec<String>,
}

/// A client with a token, which goes from node to node.
pub(super) struct Client<'a> {
    pub(super) index: usize,
    pub(super) nodes: &'a [Node],
    pub(super) history: &'a History,
    pub(super) things: &'a Things,
    pub(super) stop: &'a AtomicBool,
}

impl Client<'_> {
    pub(super) async fn run(&self) {
        let mut token = self.write(None).await;
        while !self.stop.load(Ordering::Relaxed) {
            match rand::rng().random_range(0..10) {
                0 => token = self.write(Some(&token)).await,
                1..4 => token = self.read_own(&token).await,
                4..7 => self.read_bounded().await,
                _ => self.read_any().await,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn node(&self) -> &Node {
        self.nodes.choose(&mut rand::rng()).unwrap()
    }

    fn any_of(lists: &[&Vec<String>]) -> String {
        let all: Vec<&String> = lists.iter().copied().flatten().collect();
        (*all.choose(&mut rand::rng()).unwrap()).clone()
    }

    /// Writes, and answers with the session's new token.
    async fn write(&self, token: Option<&String>) -> String {
        let (node, id) = (self.node(), Self::any_of(&[&self.things.live]));
        let keys = node.database.keys().unwrap();
        let session = Session::resume(token.map(String::as_str), keys);
        let mut tx = node.database.db(session.clone()).begin().await.unwrap();
        let version: String = tx.query_one(WRITE, &[&id]).await.unwrap();
        tx.attach(node.cache.invalidation(&CHEAP, id.as_str()));
        tx.attach(node.cache.invalidation(&DEAR, id.as_str()));
        let confirmed = tx.commit().await.unwrap().confirmed;
        let invalidated = confirmed.then(|| self.history.now());
        self.history.wrote(Some(self.index), &id, version.parse().unwrap(), invalidated);
        keys.sign(&session.token().unwrap())
    }

    async fn read_own(&self, token: &str) -> String {
        let (node, id) = (self.node(), Self::any_of(&[&self.things.live, &self.things.orphaned]));
        let keys = node.database.keys().unwrap();
        let session = Session::resume([token], keys);
        self.history.read(node, &session, Promise::Session(self.index), &id).await;
        keys.sign(&session.token().unwrap())
    }

    async fn read_bounded(&self) {
        let id = Self::any_of(&[&self.things.live, &self.things.orphaned]);
        let session = Session::new().with_level(Level::Bounded(BOUND));
        self.history.read(self.node(), &session, Promise::Bounded(BOUND), &id).await;
    }

    async fn read_any(&self) {
        let Things { live, orphaned, unattended } = self.things;
        let id = Self::any_of(&[live, orphaned, unattended]);
        self.history.read(self.node(), &anybody(), Promise::Any, &id).await;
    }
}
