//! The contract of the shared level, over Redis.

use super::address::Address;
use super::door::Door;
use super::live::Live;
use super::names::Names;
use super::push::Push;
use super::record::{self, Epoch, Record};
use super::routes::Routes;
use super::script::{self, Script};
use super::system::System;
use super::told::Told;
use super::trouble::Trouble;
use crate::config::Config;
use crate::decision::{LEASE_SECONDS, LeaseId};
use crate::key::CacheKey;
use crate::l2::{Capabilities, Error, Fill, Got, Hints, L2, Want};
use futures_util::future::join_all;
use onefold_core::process::BoxFuture;
use onefold_core::topology::{Fault, Faults};
use onefold_core::{Lsn, TaskGroup};
use onefold_database::Database;
use redis::{Cmd, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tracing::Instrument as _;

/// A server does one thing at a time: a larger value would keep all others waiting.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// How often a key may be elsewhere before it counts as moving.
const REDIRECTIONS_MAX: usize = 4;
/// How often a new epoch may begin under a reader before it is told to wait.
const BEGINNINGS_MAX: usize = 3;
/// Of a bucket that nobody asks for any more, nothing is left.
const SENTINEL_MILLIS: u64 = 24 * 3600 * 1000;

/// The engine.
#[derive(Debug)]
pub struct Redis {
    routes: Arc<Routes>,
    database: Database,
    system: Arc<System>,
    push: Push,
    /// How long the invalidation of one key may take, whatever keeps it: so that it is known in time which had to wait.
    invalidation_max: Duration,
    /// The database's timeline, as it was known last.
    timeline: AtomicU32,
}

impl Redis {
    /// The shared level where `cache.url` says. It connects by and by: what it cannot answer until then is a miss.
    ///
    /// # Errors
    /// Where the configuration names no Redis, or the file of authorities cannot be used.
    pub fn start(config: &Config, database: Database, tasks: &TaskGroup) -> Result<Self, Faults> {
        let fault = |key: &str, problem: String, fix: &str| Faults(vec![Fault::new(key, problem, fix)]);
        let address = config.url.as_ref().ok_or("it is missing".to_owned()).and_then(Address::parse);
        let address = address.map_err(|problem| fault("cache.url", problem, super::URL_FIX))?;
        let door = Door::new(&address, config)?;
        // Within the time that anybody waits, so that a server which lets that pass is found out.
        let patience = config.l2_timeout * 3 / 4;
        let door = Arc::new(door);
        let routes = Routes::start(&address, Arc::clone(&door), patience, tasks);
        let system = Arc::new(System::new(database.clone(), config.prefix.clone()));
        let push = Push::start(Arc::clone(&routes), door, Arc::clone(&system), tasks);
        let invalidation_max = config.l2_timeout * 7 / 8;
        Ok(Self { routes, database, system, push, invalidation_max, timeline: AtomicU32::new(0) })
    }

    /// Why no server can be used, if that is so.
    pub fn problem(&self) -> Option<String> {
        self.routes.problem()
    }

    /// Whether every server is reached that holds something.
    pub fn is_whole(&self) -> bool {
        self.routes.is_whole()
    }

    /// The primary's timeline. While no primary is known, that of before.
    fn timeline(&self) -> Result<u32, Error> {
        if let Some(timeline) = self.database.timeline() {
            self.timeline.store(timeline, Ordering::Relaxed);
            return Ok(timeline);
        }
        let before = self.timeline.load(Ordering::Relaxed);
        if before == 0 {
            Err(Error::Database(onefold_database::Error::Unavailable("primary")))
        } else {
            Ok(before)
        }
    }

    fn names<'a>(&'a self, key: &'a CacheKey) -> Result<Names<'a>, Error> {
        Ok(Names { system: self.system.name()?, bucket: key.bucket(), text: key.text() })
    }

    /// Calls the server of a bucket, wherever that is.
    async fn call(
        &self,
        operation: &'static str,
        bucket: u16,
        commands: impl Fn(&Live) -> Vec<Cmd>,
    ) -> Result<(Arc<Live>, Vec<Value>), Error> {
        let mut link = self.routes.of_bucket(bucket)?;
        let (mut asking, mut awaited) = (false, false);
        for _ in 0..REDIRECTIONS_MAX {
            let live = if awaited { link.comes_up().await } else { link.live() };
            let Some(live) = live else { return Err(Trouble::Gone.at(&link.at)) };
            let span = tracing::info_span!(
                "cache.l2",
                otel.name = operation,
                otel.kind = "client",
                db.system.name = "redis",
                db.operation.name = operation,
                server.address = link.at.host,
                server.port = link.at.port,
                error.type = tracing::field::Empty,
            );
            let sent = link.send(&live, commands(&live), asking).instrument(span.clone()).await;
            let trouble = match sent {
                Ok(answers) => return Ok((live, answers)),
                Err(trouble) => trouble,
            };
            span.record("error.type", trouble.name());
            let elsewhere = match &trouble {
                Trouble::Moved(Some(at)) | Trouble::Ask(Some(at)) => self.routes.link_to(at),
                Trouble::NoScript if live.load_scripts().await.is_ok() => Some(Arc::clone(&link)),
                _ => None,
            };
            if matches!(trouble, Trouble::Moved(_) | Trouble::Down(_) | Trouble::Gone) {
                self.routes.are_stale();
            }
            let Some(elsewhere) = elsewhere else { return Err(trouble.at(&link.at)) };
            asking = asking && trouble == Trouble::NoScript || matches!(trouble, Trouble::Ask(_));
            (link, awaited) = (elsewhere, true);
        }
        Err(Error::Moving)
    }

    async fn run(
        &self,
        script: &Script,
        operation: &'static str,
        bucket: u16,
        keys: &[String],
        arguments: impl Fn(&Live, &mut Cmd),
    ) -> Result<(Arc<Live>, Value), Error> {
        let commands = |live: &Live| {
            let mut command = script.call(keys);
            arguments(live, &mut command);
            vec![command]
        };
        let (live, mut answers) = self.call(operation, bucket, commands).await?;
        Ok((live, answers.pop().ok_or(Error::Nonsense("a script without an answer"))?))
    }

    /// A valid value, without a script: what is valid in the bucket's epoch has not been invalidated.
    async fn look(&self, names: Names<'_>, timeline: u32) -> Result<Option<Got>, Error> {
        let name = names.record();
        let commands = |_: &Live| {
            let (mut left, mut record) = (redis::cmd("PTTL"), redis::cmd("GET"));
            left.arg(&name);
            record.arg(&name);
            vec![left, record]
        };
        let (live, mut answers) = self.call("GET", names.bucket, commands).await?;
        let (Some(Value::BulkString(bytes)), Some(Value::Int(left))) = (answers.pop(), answers.pop()) else {
            return Ok(None);
        };
        let known = live.epoch(names.bucket, timeline);
        let record = Record::read(bytes, left).filter(|record| record.valid && Some(record.epoch) == known);
        Ok(record.map(|record| Got::Hit(record.copied)))
    }

    async fn lease(&self, names: Names<'_>, want: Want, timeline: u32) -> Result<Told, Error> {
        let (lease, epoch) = (LeaseId::random(), Epoch::random());
        let refresh = if want == Want::Refresh { "1" } else { "0" };
        let (live, answer) = self
            .run(&script::LEASE, "lease", names.bucket, &names.all(), |live, command| {
                command.arg(&live.facts.incarnation).arg(timeline_text(timeline));
                command.arg(&epoch.bytes()).arg(lease.0.as_bytes()).arg(LEASE_SECONDS * 1000);
                command.arg(refresh).arg(SENTINEL_MILLIS);
            })
            .await?;
        let told = Told::read(answer, lease).ok_or(Error::Nonsense("a lease that cannot be read"))?;
        if let Told::Got { epoch, .. } = &told {
            live.note_epoch(names.bucket, timeline, *epoch);
        }
        Ok(told)
    }

    async fn get(&self, key: &CacheKey, want: Want) -> Result<Got, Error> {
        let (names, timeline) = (self.names(key)?, self.timeline()?);
        if want == Want::Value
            && let Some(hit) = self.look(names, timeline).await?
        {
            return Ok(hit);
        }
        for _ in 0..BEGINNINGS_MAX {
            match self.lease(names, want, timeline).await? {
                Told::Got { got, .. } => return Ok(got),
                Told::Begun(epoch) => self.begin(names, epoch).await?,
                // Others know of a promotion that this node has not noticed yet.
                Told::Behind => break,
            }
        }
        Ok(Got::Busy { stale: None })
    }

    /// Makes known the floor of an epoch that has begun: what the primary has flushed by now, after the beginning, so that
    /// every invalidation that this engine may have lost lies below.
    async fn begin(&self, names: Names<'_>, epoch: Epoch) -> Result<(), Error> {
        let floor = lsn_text(self.database.flush_lsn().await?);
        self.run(&script::BEGIN, "begin", names.bucket, &[names.sentinel()], |live, command| {
            command.arg(&live.facts.incarnation).arg(&epoch.bytes()).arg(&floor);
        })
        .await?;
        Ok(())
    }

    async fn fill(&self, key: &CacheKey, lease: LeaseId, fill: Fill<'_>) -> Result<bool, Error> {
        let names = self.names(key)?;
        let (record, life) = record::write(&fill);
        let (_, stored) = self
            .run(&script::FILL, "fill", names.bucket, &names.all(), |live, command| {
                command.arg(&live.facts.incarnation).arg(lease.0.as_bytes()).arg(&record).arg(life);
            })
            .await?;
        Ok(stored == Value::Int(1))
    }

    async fn invalidate_one(&self, key: &CacheKey, at: Lsn) -> Result<(), Error> {
        let names = self.names(key)?;
        let at = lsn_text(at);
        let invalidating = async {
            let keys = names.all();
            let invalidated =
                self.run(&script::INVALIDATE, "invalidate", names.bucket, &keys, |_, command| {
                    command.arg(&at).arg(SENTINEL_MILLIS);
                });
            match invalidated.await {
                Err(Error::Moving) => self.invalidate_on_the_way(names, &at).await,
                outcome => outcome.map(drop),
            }
        };
        tokio::time::timeout(self.invalidation_max, invalidating).await.unwrap_or(Err(Error::Timeout))
    }

    /// Invalidates a key whose slot is moving, so that some of its names may be here and some there already: one name after
    /// the other, wherever each is. In this order: whoever is granted a lease from now on needs the new floor, whoever has
    /// one cannot fill any more, and what was filled until then goes.
    async fn invalidate_on_the_way(&self, names: Names<'_>, at: &str) -> Result<(), Error> {
        self.run(&script::RAISE, "invalidate", names.bucket, &[names.sentinel()], |_, command| {
            command.arg(at).arg(SENTINEL_MILLIS);
        })
        .await?;
        for name in [names.lease(), names.record()] {
            let delete = |_: &Live| {
                let mut delete = redis::cmd("DEL");
                delete.arg(&name);
                vec![delete]
            };
            self.call("invalidate", names.bucket, delete).await?;
        }
        Ok(())
    }
}

impl L2 for Redis {
    fn capabilities(&self) -> Capabilities {
        // A master that dies takes with it what its replica had not heard of.
        Capabilities { keeps_invalidations: false, fails_in_parts: true, value_bytes_max: VALUE_BYTES_MAX }
    }

    fn hints(&self) -> Option<&dyn Hints> {
        Some(&self.push)
    }

    fn get<'a>(&'a self, key: &'a CacheKey, want: Want) -> BoxFuture<'a, Result<Got, Error>> {
        Box::pin(self.get(key, want))
    }

    fn fill<'a>(
        &'a self,
        key: &'a CacheKey,
        lease: LeaseId,
        fill: Fill<'a>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.fill(key, lease, fill))
    }

    fn release<'a>(&'a self, key: &'a CacheKey, lease: LeaseId) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let names = self.names(key)?;
            self.run(&script::RELEASE, "release", names.bucket, &[names.lease()], |_, command| {
                command.arg(lease.0.as_bytes());
            })
            .await?;
            Ok(())
        })
    }

    fn invalidate<'a>(
        &'a self,
        keys: &'a [CacheKey],
        at: Lsn,
    ) -> BoxFuture<'a, Result<Vec<CacheKey>, Error>> {
        Box::pin(async move {
            let outcomes = join_all(keys.iter().map(|key| self.invalidate_one(key, at))).await;
            let (mut missed, mut first) = (Vec::new(), None);
            for (key, outcome) in keys.iter().zip(outcomes) {
                if let Err(error) = outcome {
                    missed.push(key.clone());
                    first.get_or_insert(error);
                }
            }
            match first {
                Some(error) if missed.len() == keys.len() => Err(error),
                _ => Ok(missed),
            }
        })
    }

    fn share_away(&self) -> f64 {
        self.routes.share_away()
    }

    /// Redis drops by itself what has had its time.
    fn sweep(&self) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(std::future::ready(Ok(0)))
    }
}

/// Numbers as texts of one length: Lua's numbers have no 64 bits, and its texts compare like them.
fn lsn_text(lsn: Lsn) -> String {
    format!("{:020}", lsn.0)
}

fn timeline_text(timeline: u32) -> String {
    format!("{timeline:010}")
}
