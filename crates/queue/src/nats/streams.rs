//! The streams and consumers: their names, their settings, and that the server has made what it was asked for.

use super::answers::StreamNames;
use super::server::{CALL_MAX, Server, causes};
use super::sql;
use crate::{Error, Priority};
use async_nats::jetstream::consumer::{self, AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use onefold_database::Database;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// For how long a message that is published again is recognised: far longer than a relay tries.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(10);
/// After this time without a word JetStream delivers a message again: so long waits what was on its way to a worker
/// that died, or from a server that died. Who has claimed a message holds it by a lease, whatever JetStream believes.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(5);
/// Messages of one priority that workers may hold together.
const ACK_PENDING_MAX: i64 = 100_000;
/// Jobs are spread over so many subjects of a priority, so that one is found without reading the whole stream.
const SHELVES: u64 = 256;

/// A stream's name may have 255 bytes, with the system before it.
const TOKEN_BYTES_MAX: usize = 200;

/// What begins every subject and every stream's name.
const ROOT: &str = "onefold";

/// The streams of one system.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) server: Server,
    database: Database,
    /// Which system: two may share one NATS. Asked at the first use, since an observer starts without a database.
    system: OnceCell<System>,
    known: Mutex<HashMap<String, Arc<Lanes>>>,
}

/// A system's id, as it stands in message ids, and the part of it that stands in names.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) id: String,
    short: String,
}

/// One queue's stream with its consumers, best priority first.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) stream: stream::Stream,
    pub(super) consumers: Vec<PullConsumer>,
}

impl Streams {
    pub(super) fn new(server: Server, database: Database) -> Self {
        Self { server, database, system: OnceCell::new(), known: Mutex::default() }
    }

    /// Which system this is.
    pub(super) async fn system(&self) -> Result<&System, Error> {
        let ask = || async {
            let id: uuid::Uuid = self.database.shared().await?.query_one(sql::SYSTEM, &[]).await?;
            let id = id.simple().to_string();
            Ok(System { short: id[..12].to_owned(), id })
        };
        self.system.get_or_try_init(ask).await
    }

    /// A queue's stream and consumers, made at their first use.
    pub(super) async fn lanes(&self, queue: &str) -> Result<Arc<Lanes>, Error> {
        if let Some(lanes) = self.known().get(queue) {
            return Ok(Arc::clone(lanes));
        }
        self.server.ready().await?;
        let system = self.system().await?;
        let made = tokio::time::timeout(CALL_MAX * 2, self.make(system, queue)).await;
        let lanes = made
            .map_err(|_| self.server.failed(format!("the stream of queue `{queue}` was not made in time")))?;
        let lanes = Arc::new(lanes?);
        self.known().insert(queue.to_owned(), Arc::clone(&lanes));
        Ok(lanes)
    }

    /// Forgets what was made: the servers may have lost it.
    pub(super) fn forget(&self, queue: &str) {
        self.known().remove(queue);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Lanes>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, system: &System, queue: &str) -> Result<Lanes, Error> {
        let wanted = self.wanted(system, queue);
        let stream = self.server.context.get_or_create_stream(wanted.clone()).await;
        let stream = stream.map_err(|error| self.refused(queue, &error))?;
        let found = &stream.cached_info().config;
        self.compare(&format!("stream {}", wanted.name), &differences(&wanted, found))?;
        let mut consumers = Vec::with_capacity(Priority::ALL.len());
        for priority in Priority::ALL {
            consumers.push(self.consumer(&stream, queue, system.consumer(queue, priority)).await?);
        }
        Ok(Lanes { stream, consumers })
    }

    /// One that an older build has made may wait another time for a word: that is changed.
    async fn consumer(
        &self,
        stream: &stream::Stream,
        queue: &str,
        wanted: pull::Config,
    ) -> Result<PullConsumer, Error> {
        let name = wanted.durable_name.clone().unwrap_or_default();
        let found = stream.get_or_create_consumer(&name, wanted.clone()).await;
        let mut consumer: PullConsumer = found.map_err(|error| self.refused(queue, &error))?;
        if consumer.cached_info().config.ack_wait != wanted.ack_wait {
            let updated = stream.create_consumer(wanted.clone()).await;
            consumer = updated.map_err(|error| self.refused(queue, &error))?;
        }
        let unlike = unlike(&wanted, &consumer.cached_info().config);
        self.compare(&format!("consumer {name} of queue `{queue}`"), &unlike)?;
        Ok(consumer)
    }

    fn wanted(&self, system: &System, queue: &str) -> stream::Config {
        stream::Config {
            name: system.prefix() + &token(queue),
            subjects: vec![format!("{ROOT}.{}.{}.>", system.short, token(queue))],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            // A stream that is full must say so: the outbox keeps what it does not take.
            discard: DiscardPolicy::New,
            max_messages: -1,
            max_bytes: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            max_message_size: -1,
            num_replicas: self.server.replicas(),
            duplicate_window: DUPLICATE_WINDOW,
            ..stream::Config::default()
        }
    }

    fn refused(&self, queue: &str, error: &(dyn std::error::Error + 'static)) -> Error {
        self.server.failed(format!("the stream of queue `{queue}`: {}", causes(error)))
    }

    /// Servers drop settings that they do not know, in silence.
    fn compare(&self, what: &str, differences: &[String]) -> Result<(), Error> {
        if differences.is_empty() {
            return Ok(());
        }
        let problem = format!("{what} is not as asked: {}", differences.join(", "));
        Err(self.server.unusable(
            problem,
            "edit or remove it with the nats tool once it is empty, or correct queue.replicas",
        ))
    }

    /// The queues that have a stream, each with it.
    pub(super) async fn existing(&self) -> Result<Vec<String>, Error> {
        self.server.ready().await?;
        let system = self.system().await?;
        let asked = serde_json::json!({ "subject": format!("{ROOT}.{}.>", system.short) });
        let names: StreamNames = self
            .server
            .context
            .request("STREAM.NAMES", &asked)
            .await
            .map_err(|error| self.server.failed(causes(&error)))?;
        let prefix = system.prefix();
        let queue = |name: String| name.strip_prefix(&prefix).and_then(untoken);
        Ok(names.streams.unwrap_or_default().into_iter().filter_map(queue).collect())
    }
}

impl System {
    /// Where a job's message goes.
    pub(super) fn subject(&self, queue: &str, priority: Priority, id: i64) -> String {
        let shelf = id.unsigned_abs() % SHELVES;
        format!("{ROOT}.{}.{}.{}.{shelf}", self.short, token(queue), priority as i16)
    }

    /// Where a job's message would be, whatever its priority.
    pub(super) fn shelf(&self, queue: &str, id: i64) -> String {
        format!("{ROOT}.{}.{}.*.{}", self.short, token(queue), id.unsigned_abs() % SHELVES)
    }

    /// What begins the name of each stream.
    fn prefix(&self) -> String {
        format!("{ROOT}-{}-", self.short)
    }

    fn consumer(&self, queue: &str, priority: Priority) -> pull::Config {
        pull::Config {
            durable_name: Some(format!("workers-{}", priority as i16)),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // How often a job is tried is its own affair.
            max_deliver: -1,
            max_ack_pending: ACK_PENDING_MAX,
            filter_subject: format!("{ROOT}.{}.{}.{}.*", self.short, token(queue), priority as i16),
            ..pull::Config::default()
        }
    }
}

fn differences(wanted: &stream::Config, found: &stream::Config) -> Vec<String> {
    let mut found_other = Vec::new();
    let mut hold = |key: &str, wanted: String, found: String| {
        if wanted != found {
            found_other.push(format!("{key} is {found} and not {wanted}"));
        }
    };
    hold("subjects", format!("{:?}", wanted.subjects), format!("{:?}", found.subjects));
    hold("retention", format!("{:?}", wanted.retention), format!("{:?}", found.retention));
    hold("storage", format!("{:?}", wanted.storage), format!("{:?}", found.storage));
    hold("discard", format!("{:?}", wanted.discard), format!("{:?}", found.discard));
    hold("num_replicas", wanted.num_replicas.to_string(), found.num_replicas.to_string());
    hold(
        "duplicate_window",
        format!("{:?}", wanted.duplicate_window),
        format!("{:?}", found.duplicate_window),
    );
    hold("max_age", format!("{:?}", wanted.max_age), format!("{:?}", found.max_age));
    found_other
}

fn unlike(wanted: &pull::Config, found: &consumer::Config) -> Vec<String> {
    let mut found_other = Vec::new();
    let mut hold = |key: &str, wanted: String, found: String| {
        if wanted != found {
            found_other.push(format!("{key} is {found} and not {wanted}"));
        }
    };
    hold("filter_subject", wanted.filter_subject.clone(), found.filter_subject.clone());
    hold("ack_policy", format!("{:?}", wanted.ack_policy), format!("{:?}", found.ack_policy));
    hold("ack_wait", format!("{:?}", wanted.ack_wait), format!("{:?}", found.ack_wait));
    hold("max_deliver", wanted.max_deliver.to_string(), found.max_deliver.to_string());
    hold("max_ack_pending", wanted.max_ack_pending.to_string(), found.max_ack_pending.to_string());
    found_other
}

/// The token of the queue without a name.
const NAMELESS: &str = "_";

/// Refuses a queue whose name is too long for a stream's.
pub(super) fn check_name(queue: &str) -> Result<(), Error> {
    let size = token(queue).len();
    if size <= TOKEN_BYTES_MAX {
        return Ok(());
    }
    Err(Error::TooLarge { what: "the queue's name as NATS writes it", size, limit: TOKEN_BYTES_MAX })
}

/// A queue's name as one token of a subject: what NATS does not take is written in hexadecimal.
fn token(queue: &str) -> String {
    if queue.is_empty() {
        return NAMELESS.to_owned();
    }
    let mut token = String::with_capacity(queue.len());
    for byte in queue.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            token.push(char::from(byte));
        } else {
            token.push('_');
            for digit in [byte >> 4, byte & 0xf] {
                token.extend(char::from_digit(digit.into(), 16));
            }
        }
    }
    token
}

/// The queue's name out of its token.
fn untoken(token: &str) -> Option<String> {
    if token == NAMELESS {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token;
    while let Some(first) = rest.bytes().next() {
        if first == b'_' {
            bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = &rest[3..];
        } else {
            bytes.push(first);
            rest = rest.get(1..)?;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_queue_has_a_token_of_its_own(queue in ".{0,40}") {
            let token = token(&queue);
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(untoken(&token), Some(queue));
        }
    }

    #[test]
    fn a_setting_that_the_server_dropped_is_named() {
        let wanted = stream::Config { num_replicas: 3, ..stream::Config::default() };
        let found = stream::Config { num_replicas: 1, ..stream::Config::default() };
        assert_eq!(differences(&wanted, &found), ["num_replicas is 1 and not 3"]);
        assert!(differences(&wanted, &wanted).is_empty());
    }
}
