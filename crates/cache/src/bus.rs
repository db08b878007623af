//! The bus: each node tells the others of invalidations, by the shared level's own channel or by notifications of the
//! database. It is a hint that makes them quick; what it loses, the tail and the entries' lifetimes catch.
//!
//! A gap, or a second without hearing anything, empties L1 and bypasses it until the subscription stands again. So
//! that silence means something, each node speaks up when it has heard nothing for a while.

use crate::key::CacheKey;
use crate::l2::Hints;
use crate::node::Node;
use onefold_core::{Boot, Lsn};
use onefold_database::Heard;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const CHANNEL: &str = "onefold_cache";
/// Without hearing anything for so long, the bus counts as broken.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// After so much silence a node speaks up. Three of them fit into the longest silence.
const SPEAK_AFTER: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A notification has at most 8000 bytes, and a key a few hundred.
const KEYS_MAX: usize = 20;

#[derive(Debug, Serialize, Deserialize)]
struct Message {
    from: Boot,
    at: Lsn,
    keys: Vec<String>,
}

/// Tells the other nodes; what cannot be sent is dropped.
pub(crate) fn tell(node: &Node, keys: &[CacheKey], at: Lsn) {
    for keys in keys.chunks(KEYS_MAX) {
        let keys = keys.iter().map(|key| key.text().to_owned()).collect();
        send(node, &Message { from: node.boot, at, keys });
    }
}

fn send(node: &Node, message: &Message) {
    match serde_json::to_string(message) {
        Ok(payload) => match hints(node) {
            Some(hints) => hints.tell(payload),
            None => node.database.notify(CHANNEL, payload),
        },
        Err(error) => tracing::error!(%error, "write a message for the bus"),
    }
}

fn hints(node: &Node) -> Option<&dyn Hints> {
    node.l2.as_ref()?.hints()
}

/// Listens until the node stops.
pub(crate) async fn listen(node: Arc<Node>) {
    let mut heard = match hints(&node) {
        Some(hints) => hints.listen(),
        None => node.database.listen(CHANNEL),
    };
    let mut ear = Ear { node: &node, state: State::Deaf, last_heard: node.clock.now() };
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            next = heard.recv() => match next {
                Some(next) => ear.hear(next).await,
                None => return,
            },
            _ = tick.tick() => ear.look(&heard).await,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not subscribed.
    Deaf,
    /// Subscribed, and L1 has still to be brought into step.
    Subscribed,
    InStep,
}

struct Ear<'a> {
    node: &'a Node,
    state: State,
    last_heard: std::time::Instant,
}

impl Ear<'_> {
    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Gap => self.lose("gap"),
            Heard::Subscribed => {
                self.last_heard = self.node.clock.now();
                self.state = State::Subscribed;
                self.get_in_step().await;
            }
            Heard::Payload(payload) => {
                self.last_heard = self.node.clock.now();
                if self.state == State::Subscribed {
                    self.get_in_step().await;
                }
                self.apply(&payload);
            }
        }
    }

    fn apply(&self, payload: &str) {
        let message: Message = match serde_json::from_str(payload) {
            Ok(message) => message,
            Err(error) => return tracing::warn!(%error, "unreadable message on the cache's bus"),
        };
        if message.from == self.node.boot || message.keys.is_empty() {
            return;
        }
        for text in message.keys {
            self.node.l1.hear(&CacheKey::from_text(text), message.at);
        }
        self.node.database.look();
    }

    async fn look(&mut self, waiting: &mpsc::Receiver<Heard>) {
        let silence = self.node.clock.now().saturating_duration_since(self.last_heard);
        if self.state == State::Subscribed {
            self.get_in_step().await;
        }
        // What waits to be heard is no silence: this task was slow, not the bus.
        if self.state == State::InStep && silence > SILENCE_MAX && waiting.is_empty() {
            self.lose("silence");
            // The subscription may be alive after all; the next message says so.
            self.state = State::Subscribed;
            self.node.l1.close();
        }
        if silence > SPEAK_AFTER {
            send(self.node, &Message { from: self.node.boot, at: Lsn::ZERO, keys: Vec::new() });
        }
    }

    fn lose(&mut self, why: &'static str) {
        if self.state == State::InStep {
            self.node.telemetry.gaps_bus.inc();
            tracing::info!(
                reason = why,
                "the cache's bus is broken; entries in this node are not used until it is back"
            );
        }
        self.state = State::Deaf;
        self.node.l1.close();
    }

    /// Everything up to the present position may have been missed.
    async fn get_in_step(&mut self) {
        let silence = self.node.clock.now().saturating_duration_since(self.last_heard);
        if silence > SILENCE_MAX {
            return;
        }
        match self.node.database.flush_lsn().await {
            Ok(flushed) => {
                self.node.l1.resync(flushed);
                self.state = State::InStep;
                tracing::debug!(database.lsn = %flushed, "cache in step with the bus");
            }
            Err(error) => tracing::debug!(%error, "the cache waits for the primary"),
        }
    }
}
