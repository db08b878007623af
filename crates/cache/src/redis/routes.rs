//! Which server holds which bucket. A cluster is asked for its slots at the start, whenever a server is lost or answers
//! that a slot is elsewhere, and now and then.

use super::address::{Address, Endpoint, Shape};
use super::door::Door;
use super::link::Link;
use super::slot::{SLOTS, slots_of_buckets};
use crate::key::BUCKETS;
use crate::l2::Error;
use arc_swap::ArcSwap;
use onefold_core::TaskGroup;
use redis::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// While all is well.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// While a server is missing, and at most.
const REFRESH_SOON: Duration = Duration::from_millis(100);
/// A cluster's answer may name many servers; no sane one names more masters.
const LINKS_MAX: usize = 1000;

/// The server of each bucket, where one is known.
type Table = Vec<Option<Arc<Link>>>;

#[derive(Debug)]
pub(crate) struct Routes {
    shape: Shape,
    seeds: Vec<Endpoint>,
    door: Arc<Door>,
    timeout: Duration,
    slots: Vec<u16>,
    table: ArcSwap<Table>,
    links: Mutex<HashMap<Endpoint, Arc<Link>>>,
    stale: Arc<Notify>,
    tasks: TaskGroup,
}

impl Routes {
    /// Begins to look for the servers.
    pub(crate) fn start(
        address: &Address,
        door: Arc<Door>,
        timeout: Duration,
        tasks: &TaskGroup,
    ) -> Arc<Self> {
        let slots = slots_of_buckets();
        let routes = Arc::new(Self {
            shape: address.shape,
            seeds: address.seeds.clone(),
            door,
            timeout,
            table: ArcSwap::from_pointee(vec![None; slots.len()]),
            slots,
            links: Mutex::default(),
            stale: Arc::new(Notify::new()),
            tasks: tasks.clone(),
        });
        let seeds: Vec<Arc<Link>> = routes.seeds.iter().filter_map(|seed| routes.link_to(seed)).collect();
        if routes.shape == Shape::Single {
            routes.table.store(Arc::new(vec![seeds.first().cloned(); routes.slots.len()]));
            return routes;
        }
        let following = Arc::clone(&routes).follow();
        let stopping = tasks.stopping();
        tasks.spawn("redis-routes", async move {
            stopping.run_until_cancelled(following).await;
        });
        routes
    }

    /// The way to a bucket's server.
    ///
    /// # Errors
    /// [`Error::Away`] while none is known.
    pub(crate) fn of_bucket(&self, bucket: u16) -> Result<Arc<Link>, Error> {
        let table = self.table.load();
        table.get(usize::from(bucket)).cloned().flatten().ok_or_else(|| self.nobody())
    }

    /// The way to a server, begun now if need be; none where there are too many.
    pub(crate) fn link_to(&self, at: &Endpoint) -> Option<Arc<Link>> {
        let mut links = self.links();
        if let Some(link) = links.get(at) {
            return Some(Arc::clone(link));
        }
        if links.len() >= LINKS_MAX {
            return None;
        }
        let link = Link::start(at.clone(), self.timeout, &self.door, &self.stale, &self.tasks);
        links.insert(at.clone(), Arc::clone(&link));
        Some(link)
    }

    /// Has the slots asked for soon, for they have changed.
    pub(crate) fn are_stale(&self) {
        self.stale.notify_one();
    }

    /// Those that are up.
    pub(crate) fn up(&self) -> Vec<Arc<Link>> {
        self.links().values().filter(|link| link.live().is_some()).cloned().collect()
    }

    /// Whether all servers are known, and up.
    pub(crate) fn is_whole(&self) -> bool {
        self.table.load().iter().all(|link| link.as_ref().is_some_and(|link| link.live().is_some()))
    }

    /// The share of the buckets whose server is not reached.
    pub(crate) fn share_away(&self) -> f64 {
        let table = self.table.load();
        let is_up = |link: &&Option<Arc<Link>>| link.as_ref().is_some_and(|link| link.live().is_some());
        let away = table.len() - table.iter().filter(is_up).count();
        f64::from(u32::try_from(away).unwrap_or(u32::MAX)) / f64::from(BUCKETS)
    }

    pub(crate) fn nobody(&self) -> Error {
        let seeds: Vec<String> = self.seeds.iter().map(ToString::to_string).collect();
        Error::Away { server: seeds.join(",") }
    }

    /// Why no server can be used, if that is so.
    pub(crate) fn problem(&self) -> Option<String> {
        let links = self.links();
        if links.values().any(|link| link.live().is_some()) {
            return None;
        }
        links
            .values()
            .find_map(|link| link.problem().map(|problem| format!("Redis at {}: {problem}", link.at)))
    }

    fn links(&self) -> MutexGuard<'_, HashMap<Endpoint, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self: Arc<Self>) {
        loop {
            self.refresh().await;
            tokio::time::sleep(REFRESH_SOON).await;
            if self.is_whole() {
                let _ = tokio::time::timeout(REFRESH_EVERY, self.stale.notified()).await;
            }
        }
    }

    /// Asks one server after the other, until one answers.
    async fn refresh(&self) {
        for link in self.up() {
            let Some(live) = link.live() else { continue };
            let mut ask = redis::cmd("CLUSTER");
            ask.arg("SLOTS");
            match link.send(&live, vec![ask], false).await.as_deref() {
                Ok([answer]) => {
                    let ranges = ranges(answer, &link.at.host);
                    if !ranges.is_empty() {
                        return self.take(&ranges);
                    }
                }
                Ok(_) => {}
                Err(trouble) => tracing::debug!(server.address = %link.at, ?trouble, "ask for the slots"),
            }
        }
    }

    fn take(&self, ranges: &[Range]) {
        let link_of = |slot: &u16| {
            let range = ranges.iter().find(|range| (range.first..=range.last).contains(slot))?;
            self.link_to(&range.master)
        };
        self.table.store(Arc::new(self.slots.iter().map(link_of).collect()));
        self.links().retain(|at, link| {
            let is_used = self.seeds.contains(at) || ranges.iter().any(|range| range.master == *at);
            if !is_used {
                link.retire();
            }
            is_used
        });
    }
}

/// Slots, and who serves them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) master: Endpoint,
}

/// Reads the answer of `CLUSTER SLOTS`; ranges that make no sense are left out. A server that does not know its own name
/// is where it was asked.
pub(super) fn ranges(answer: &Value, asked: &str) -> Vec<Range> {
    let Value::Array(ranges) = answer else { return Vec::new() };
    ranges.iter().filter_map(|range| read_range(range, asked)).collect()
}

fn read_range(range: &Value, asked: &str) -> Option<Range> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = master.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        Value::SimpleString(host) => host.clone(),
        _ => String::new(),
    };
    let host = if host.is_empty() || host == "?" { asked.to_owned() } else { host };
    let master = Endpoint { host, port: u16::try_from(*port).ok()? };
    let range = Range { first: u16::try_from(*first).ok()?, last: u16::try_from(*last).ok()?, master };
    Some(range).filter(|range| range.first <= range.last && range.last < SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read_and_nonsense_is_left_out() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node = |host: &str, port| Value::Array(vec![text(host), Value::Int(port), text("id")]);
        let range = |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let answer = Value::Array(vec![
            range(0, 8191, node("10.0.0.1", 7000)),
            range(8192, 16_383, node("", 7001)),
            range(0, -1, node("h", 1)),
            Value::Nil,
        ]);
        let found = ranges(&answer, "asked");
        let at = |host: &str, port| Endpoint { host: host.to_owned(), port };
        assert_eq!(
            found,
            [
                Range { first: 0, last: 8191, master: at("10.0.0.1", 7000) },
                Range { first: 8192, last: 16_383, master: at("asked", 7001) },
            ]
        );
    }
}
