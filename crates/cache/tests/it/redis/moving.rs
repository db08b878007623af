//! Slots on their way from one server of a cluster to another, moved as `redis-cli --cluster reshard` does.

use super::cluster::Cluster;
use super::faults::hits_come;
use crate::history::{self, History, Things, named};
use crate::node::{System, eventually, patient};
use onefold_cache::conformance::put_one;
use onefold_cache::redis::Redis;
use onefold_cache::{CacheKey, Config, Got, L2 as _, Want};
use onefold_core::{Clock, Lsn};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue};
use std::collections::BTreeSet;
use std::time::Duration;

/// A slot that leaves one master for another.
struct Move<'a> {
    cluster: &'a Cluster,
    slot: u16,
    from: MultiplexedConnection,
    to: MultiplexedConnection,
    to_index: usize,
    to_id: String,
}

async fn ask<T: FromRedisValue>(client: &MultiplexedConnection, words: &[&str]) -> T {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.query_async(&mut client.clone()).await.unwrap()
}

impl<'a> Move<'a> {
    /// The slot is on its way, and nothing of it has moved yet.
    async fn begin(cluster: &'a Cluster, slot: u16, from: usize, to: usize) -> Self {
        let (to_index, from, to) = (to, cluster.client(from).await, cluster.client(to).await);
        let from_id: String = ask(&from, &["CLUSTER", "MYID"]).await;
        let to_id: String = ask(&to, &["CLUSTER", "MYID"]).await;
        let text = slot.to_string();
        ask::<()>(&to, &["CLUSTER", "SETSLOT", &text, "IMPORTING", &from_id]).await;
        ask::<()>(&from, &["CLUSTER", "SETSLOT", &text, "MIGRATING", &to_id]).await;
        Self { cluster, slot, from, to, to_index, to_id }
    }

    /// What has still to move.
    async fn names(&self) -> Vec<String> {
        ask(&self.from, &["CLUSTER", "GETKEYSINSLOT", &self.slot.to_string(), "100"]).await
    }

    async fn carry(&self, name: &str) {
        let (at, password) = (self.cluster.address(self.to_index), self.cluster.password());
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        // It may end on its own in between.
        let words = ["MIGRATE", &host, &port, name, "0", "5000", "AUTH", &password];
        ask::<String>(&self.from, &words).await;
    }

    /// Everything has moved, and all know.
    async fn end(self) {
        loop {
            let names = self.names().await;
            let Some(name) = names.first() else { break };
            self.carry(name).await;
        }
        for client in [&self.to, &self.from] {
            ask::<()>(client, &["CLUSTER", "SETSLOT", &self.slot.to_string(), "NODE", &self.to_id]).await;
        }
    }
}

/// The slots in which a server holds anything.
async fn slots(client: &MultiplexedConnection) -> BTreeSet<u16> {
    let names: Vec<String> = ask(client, &["KEYS", "*"]).await;
    let mut slots = BTreeSet::new();
    for name in &names {
        slots.insert(ask(client, &["CLUSTER", "KEYSLOT", name]).await);
    }
    slots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_finds_a_key_that_is_half_on_its_way() {
    let cluster = Cluster::start().await;
    cluster.takes_nobody_for_dead().await;
    let system = System::start(1).await;
    let node = &system.nodes[0];
    let config = Config { url: cluster.config().url, engine: cluster.config().engine, ..patient() };
    let engine = Redis::start(&config, node.database.clone(), &node.tasks).unwrap();
    eventually("all servers are reached", async || engine.is_whole()).await;
    let masters = cluster.masters().await;
    // Neither, the sentinel and the record is there already.
    for (case, first) in [None, Some("}"), Some("}:")].into_iter().enumerate() {
        let key = CacheKey::new("moving", &case);
        put_one(&engine, &key, b"old").await;
        let mut held = Vec::new();
        for (position, index) in masters.iter().enumerate() {
            for slot in slots(&cluster.client(*index).await).await {
                held.push((slot, *index, masters[(position + 1) % masters.len()]));
            }
        }
        let [(slot, from, to)] = held[..] else { panic!("one slot alone: {held:?}") };
        let moving = Move::begin(&cluster, slot, from, to).await;
        let names = moving.names().await;
        let of = |first: &str| match first {
            "}" => names.iter().find(|name| name.ends_with('}')),
            inner => names.iter().find(|name| name.contains(inner)),
        };
        if let Some(name) = first.and_then(of) {
            moving.carry(name).await;
        }
        let at = Lsn(node.database.flush_lsn().await.unwrap().0 + 1_000_000);
        eventually("it is invalidated", async || {
            engine.invalidate(std::slice::from_ref(&key), at).await.is_ok_and(|missed| missed.is_empty())
        })
        .await;
        assert!(!matches!(engine.get(&key, Want::Value).await, Ok(Got::Hit(_))), "case {case}");
        moving.end().await;
        let mut got = None;
        eventually("it may be loaded again", async || {
            got = engine.get(&key, Want::Value).await.ok();
            matches!(got, Some(Got::Leased { .. } | Got::Hit(_)))
        })
        .await;
        let Some(Got::Leased { need, .. }) = got else { panic!("case {case}: {got:?}") };
        assert!(need >= at, "case {case}: {need} is less than {at}");
        for index in &masters {
            ask::<()>(&cluster.client(*index).await, &["FLUSHALL"]).await;
        }
    }
}

async fn moves_all(cluster: &Cluster, history: &History) -> usize {
    let masters = cluster.masters().await;
    let slots = slots(&cluster.client(masters[0]).await).await;
    for slot in &slots {
        let moving = Move::begin(cluster, *slot, masters[0], masters[1]).await;
        history.goes_on("requests go on while a slot is to move").await;
        if let Some(name) = moving.names().await.first() {
            moving.carry(name).await;
        }
        history.goes_on("requests go on while it is in two places").await;
        moving.end().await;
        history.goes_on("requests go on when it has moved").await;
    }
    slots.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_under_load_cost_no_request_and_show_nothing_old() {
    const THINGS: usize = 10;
    let cluster = Cluster::start().await;
    cluster.takes_nobody_for_dead().await;
    let config = Config { l1_ttl: Duration::from_millis(1), ..cluster.config() };
    let system = System::at(Clock::system(), 2, config).await;
    history::make_versions(&system.postgres).await;
    let things = Things { live: named("live", THINGS), ..Things::default() };
    let lived = history::lived(&system.nodes, &things, async |history| {
        hits_come(&system, "the shared level answers").await;
        assert!(moves_all(&cluster, history).await > 0, "something has moved");
        hits_come(&system, "it answers from there").await;
    });
    history::holds(&lived.await);
}
