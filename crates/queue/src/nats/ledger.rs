//! What people ask of the engine: the answers of rows and messages together.
//!
//! A job that moves from a row into a stream is in both for a moment, so rows are read first, and a job counts
//! once. Streams are read message by message, since servers before 2.11 have no other way; so a list looks at
//! [`LOOKS_MAX`] messages of a queue at most.

use super::claims::Letter;
use super::parcel::{Parcel, Slip};
use super::server::causes;
use super::sql;
use super::store::Nats;
use super::streams::Lanes;
use crate::admin::{Cancelled, Depth, Filter, JobRecord, JobState, Ledger, Replayed, Vital};
use crate::{BoxFuture, Error, JobId};
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind, State};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use tokio_postgres::types::{Json, ToSql};

/// Messages of one stream that a list or a search looks at.
const LOOKS_MAX: u64 = 10_000;
/// Messages that are asked for at once.
const LOOKS_AT_ONCE: usize = 64;
/// How often somebody who looks for a job follows it when it moves.
const CHASES_MAX: usize = 5;

/// What is known of messages that were claimed.
#[derive(Default)]
struct Claims {
    /// By job: who holds it.
    held: HashMap<i64, Holding>,
    /// Jobs that have ended, by a commit, and their queues. Their acknowledgements may be under way.
    ended: HashMap<i64, String>,
}

/// A job that somebody holds.
struct Holding {
    queue: String,
    node: Option<String>,
    attempt: i32,
}

/// A job in a stream.
struct Found {
    parcel: Parcel,
    sequence: u64,
    lanes: Arc<Lanes>,
}

impl Nats {
    async fn live(&self, filter: &Filter) -> Result<Vec<JobRecord>, Error> {
        let rows = self.rows(filter).await?;
        let mut found: BTreeMap<JobId, JobRecord> = rows.into_iter().map(|job| (job.id, job)).collect();
        let queues = match &filter.queue {
            Some(queue) => vec![queue.clone()],
            None => self.0.streams.existing().await?,
        };
        // Before the messages: what has ended is in its claim until its message is gone.
        let claims = self.claims().await?;
        let mut parcels = Vec::new();
        for queue in queues {
            parcels.extend(self.messages(&queue).await?);
        }
        for parcel in parcels.into_iter().filter(|parcel| !claims.ended.contains_key(&parcel.id)) {
            let record = record(parcel, &claims);
            if matches(&record, filter) {
                found.entry(record.id).or_insert(record);
            }
        }
        Ok(found.into_values().take(filter.limit as usize).collect())
    }

    /// The jobs in a queue's stream, as far as a list looks.
    async fn messages(&self, queue: &str) -> Result<Vec<Parcel>, Error> {
        let lanes = self.0.streams.lanes(queue).await?;
        let state = lanes.stream.get_info().await.map_err(|error| self.broken(&error))?.state;
        let last = state.last_sequence.min(state.first_sequence.saturating_add(LOOKS_MAX));
        if state.messages == 0 {
            return Ok(Vec::new());
        }
        let look = |sequence| {
            let stream = &lanes.stream;
            async move {
                match stream.get_raw_message(sequence).await {
                    Ok(message) => Ok(serde_json::from_slice::<Parcel>(&message.payload).ok()),
                    Err(error) if is_missing(&error) => Ok(None),
                    Err(error) => Err(self.broken(&error)),
                }
            }
        };
        stream::iter(state.first_sequence..=last)
            .map(look)
            .buffered(LOOKS_AT_ONCE)
            .try_filter_map(|parcel| std::future::ready(Ok(parcel)))
            .try_collect()
            .await
    }

    /// When the oldest job in the streams was enqueued, as far as a list looks.
    pub(super) async fn oldest(&self) -> Result<Option<DateTime<Utc>>, Error> {
        let mut oldest: Option<DateTime<Utc>> = None;
        for queue in self.0.streams.existing().await? {
            let parcels = self.messages(&queue).await?;
            oldest = parcels.iter().map(|parcel| parcel.created_at).chain(oldest).min();
        }
        Ok(oldest)
    }

    /// Looks for a job in the streams, on the shelves where it would be.
    async fn find(&self, id: JobId) -> Result<Option<Found>, Error> {
        for queue in self.0.streams.existing().await? {
            let lanes = self.0.streams.lanes(&queue).await?;
            let shelf = self.0.streams.system().await?.shelf(&queue, id.0);
            let mut sequence = 1;
            for _ in 0..LOOKS_MAX {
                let next = lanes.stream.raw_message_builder().sequence(sequence).next_by_subject(&shelf);
                let message = match next.send().await {
                    Ok(message) => message,
                    Err(error) if is_missing(&error) => break,
                    Err(error) => return Err(self.broken(&error)),
                };
                let parcel = serde_json::from_slice::<Parcel>(&message.payload).ok();
                if let Some(parcel) = parcel.filter(|parcel| parcel.id == id.0) {
                    return Ok(Some(Found { parcel, sequence: message.sequence, lanes }));
                }
                sequence = message.sequence + 1;
            }
        }
        Ok(None)
    }

    /// What workers hold, and what they have ended.
    async fn claims(&self) -> Result<Claims, Error> {
        let connection = self.0.database.exclusive().await?;
        let mut claims = Claims::default();
        // Before the claims: a completion is noted there before it is forgotten here.
        for row in connection.query_cached(sql::COMPLETED, &[]).await? {
            claims.ended.insert(row.try_get(1)?, row.try_get(0)?);
        }
        for row in connection.query_cached(sql::CLAIMS, &[]).await? {
            let (queue, node): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            let (jobs, letters): (Vec<i64>, Vec<String>) = (row.try_get(2)?, row.try_get(3)?);
            let (ended, freed): (Vec<i64>, Vec<i64>) = (row.try_get(4)?, row.try_get(5)?);
            claims.ended.extend(ended.into_iter().map(|job| (job, queue.clone())));
            let freed: HashSet<i64> = freed.into_iter().collect();
            for (job, letter) in jobs.into_iter().zip(letters).filter(|(job, _)| !freed.contains(job)) {
                let attempt = Letter::decode(&letter).map_or(0, |letter| letter.attempt);
                claims.held.insert(job, Holding { queue: queue.clone(), node: node.clone(), attempt });
            }
        }
        claims.held.retain(|job, _| !claims.ended.contains_key(job));
        Ok(claims)
    }

    /// Jobs that wait in the database.
    async fn rows(&self, filter: &Filter) -> Result<Vec<JobRecord>, Error> {
        let (id, after) = (filter.id.map(|id| id.0), filter.after.map(|id| id.0));
        let (state, limit) = (filter.state.map(JobState::as_str), i64::from(filter.limit));
        let parameters: [&(dyn ToSql + Sync); 6] = [&id, &filter.queue, &filter.kind, &state, &after, &limit];
        self.0.postgres.asked(sql::LIST, &parameters).await
    }

    async fn look_up(&self, id: JobId) -> Result<Option<JobRecord>, Error> {
        match self.look_once(id).await? {
            Some(job) => Ok(Some(job)),
            // One that was put back between the looks at rows and at messages is a row by now.
            None => self.look_once(id).await,
        }
    }

    async fn look_once(&self, id: JobId) -> Result<Option<JobRecord>, Error> {
        let filter = Filter { id: Some(id), limit: 1, ..Filter::default() };
        if let Some(waiting) = self.rows(&filter).await?.pop() {
            return Ok(Some(waiting));
        }
        let claims = self.claims().await?;
        if let Some(Found { parcel, .. }) = self.find(id).await?
            && !claims.ended.contains_key(&id.0)
        {
            return Ok(Some(record(parcel, &claims)));
        }
        // The rows of unique jobs that are under way are no answer by themselves.
        let ended = self.0.postgres.show(id).await?;
        Ok(ended.filter(|job| job.state != JobState::Running || job.node.is_some()))
    }

    /// Follows a job that may move while it is looked for.
    async fn end(&self, id: JobId) -> Result<Cancelled, Error> {
        for _ in 0..CHASES_MAX {
            let connection = self.0.database.exclusive().await?;
            if connection.execute_cached(crate::postgres::sql::CANCEL_WAITING, &[&id.0]).await? == 1 {
                return Ok(Cancelled::Cancelled);
            }
            // From here on no claim of it goes on without its worker seeing this.
            connection.execute_cached(sql::ASK_CANCEL, &[&id.0]).await?;
            let row = connection.query_cached(sql::IS_CLAIMED, &[&id.0]).await?;
            if row.first().map(|row| row.try_get(0)).transpose()? == Some(true) {
                self.0.postgres.tell_cancelled(id);
                return Ok(Cancelled::Requested);
            }
            drop(connection);
            match self.find(id).await? {
                Some(found) => return self.take_out(found).await,
                None if self.look_up(id).await?.is_none_or(|job| job.ended_at.is_some()) => break,
                None => {}
            }
        }
        let connection = self.0.database.exclusive().await?;
        connection.execute_cached(sql::FORGET_CANCELLED, &[&vec![id.0]]).await?;
        Ok(Cancelled::Unknown)
    }

    /// Ends a job that lies in a stream. Its cancellation stays: a worker may have been handed it just now.
    async fn take_out(&self, found: Found) -> Result<Cancelled, Error> {
        let removed = found.lanes.stream.delete_message(found.sequence).await;
        removed.map_err(|error| self.broken(&error))?;
        let mut tx = self.begin().await?;
        let slip = Slip { run_us: Some(0), cancelled: Some(true), ..Slip::of(&found.parcel) };
        tx.execute(sql::RECORD, &[&vec![Json(slip)]]).await?;
        tx.execute(sql::UNKEY, &[&vec![found.parcel.id]]).await?;
        tx.execute(sql::FORGET_LOSSES, &[&vec![found.parcel.id]]).await?;
        tx.commit().await?;
        Ok(Cancelled::Cancelled)
    }

    async fn count(&self) -> Result<Vec<Depth>, Error> {
        let mut depths = self.0.postgres.counted(sql::DEPTHS).await?;
        let claims = self.claims().await?;
        for queue in self.0.streams.existing().await? {
            let lanes = self.0.streams.lanes(&queue).await?;
            let state = lanes.stream.get_info().await.map_err(|error| self.broken(&error))?.state;
            if state.messages == 0 {
                continue;
            }
            let running = claims.held.values().filter(|holding| holding.queue == queue).count() as u64;
            let ended = claims.ended.values().filter(|of| **of == queue).count() as u64;
            let index = depths.iter().position(|depth| depth.queue == queue).unwrap_or(depths.len());
            if index == depths.len() {
                depths.push(Depth { queue, ..Depth::default() });
            }
            let depth = &mut depths[index];
            let waiting = state.messages.saturating_sub(running + ended);
            depth.available += waiting;
            depth.running += running.min(state.messages);
            if waiting > 0 {
                let due = self.due_since(&lanes, &state).await?;
                let waits = (DateTime::<Utc>::from(self.0.clock.wall()) - due).as_seconds_f64();
                depths[index].oldest_seconds = depths[index].oldest_seconds.max(waits);
            }
        }
        depths.sort_unstable_by(|a, b| a.queue.cmp(&b.queue));
        Ok(depths)
    }

    /// Since when the first job in a stream is due: longer than it lies there, where the relay was away.
    async fn due_since(&self, lanes: &Lanes, state: &State) -> Result<DateTime<Utc>, Error> {
        let arrived = state.first_timestamp;
        let arrived = DateTime::from_timestamp(arrived.unix_timestamp(), arrived.nanosecond());
        let parcel = match lanes.stream.get_raw_message(state.first_sequence).await {
            Ok(message) => serde_json::from_slice::<Parcel>(&message.payload).ok(),
            Err(error) if is_missing(&error) => None,
            Err(error) => return Err(self.broken(&error)),
        };
        Ok(parcel.map(|parcel| parcel.run_at).or(arrived).unwrap_or_default())
    }

    async fn waiting(&self) -> Result<Vec<Vital>, Error> {
        let mut vitals = self.0.postgres.vitals().await?;
        let shared = self.0.database.shared().await?;
        let waiting: i64 = shared.query_one(sql::WAITING, &[]).await?;
        vitals.push(Vital {
            name: "onefold_queue_relay_waiting",
            help: "Due jobs that no relay has brought into a stream yet.",
            value: f64::from(i32::try_from(waiting).unwrap_or(i32::MAX)),
        });
        Ok(vitals)
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        self.0.streams.server.failed(causes(error))
    }
}

impl Ledger for Nats {
    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Vec<JobRecord>, Error>> {
        match filter.state {
            Some(JobState::Dead | JobState::Done | JobState::Cancelled) => self.0.postgres.list(filter),
            _ => Box::pin(self.live(filter)),
        }
    }

    fn show(&self, id: JobId) -> BoxFuture<'_, Result<Option<JobRecord>, Error>> {
        Box::pin(async move {
            // It may move from where nobody has looked yet to where somebody has.
            for _ in 0..CHASES_MAX {
                let found = self.look_up(id).await?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        })
    }

    fn retry(&self, id: JobId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        Box::pin(async move {
            match self.0.postgres.retry(id).await? {
                Some(queue) => Ok(Some(queue)),
                // In a stream it is due already.
                None if self.claims().await?.held.contains_key(&id.0) => Ok(None),
                None => Ok(self.find(id).await?.map(|found| found.parcel.queue)),
            }
        })
    }

    fn cancel(&self, id: JobId) -> BoxFuture<'_, Result<Cancelled, Error>> {
        Box::pin(self.end(id))
    }

    fn replay<'a>(&'a self, filter: &'a Filter, limit: u32) -> BoxFuture<'a, Result<Vec<Replayed>, Error>> {
        self.0.postgres.replay(filter, limit)
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<Depth>, Error>> {
        Box::pin(self.count())
    }

    fn vitals(&self) -> BoxFuture<'_, Result<Vec<Vital>, Error>> {
        Box::pin(self.waiting())
    }

    /// This process may have no relay.
    fn announce(&self, _: &str) {
        self.0.due.notify_one();
        self.0.database.notify(super::relay::CHANNEL, String::new());
    }
}

/// Whether a stream has no such message.
pub(super) fn is_missing(error: &RawMessageError) -> bool {
    match error.kind() {
        RawMessageErrorKind::NoMessageFound => true,
        RawMessageErrorKind::JetStream(error) => error.code() == 404,
        _ => false,
    }
}

fn record(parcel: Parcel, claims: &Claims) -> JobRecord {
    let holding = claims.held.get(&parcel.id);
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    JobRecord {
        id: JobId(parcel.id),
        version: count(parcel.kind_version),
        priority: parcel.priority(),
        state: match holding {
            Some(_) => JobState::Running,
            None if parcel.attempt > 0 => JobState::Retrying,
            None => JobState::Available,
        },
        attempt: count(holding.map_or(parcel.attempt, |holding| holding.attempt)),
        attempts_max: count(parcel.attempts_max),
        run_at: parcel.run_at,
        created_at: parcel.created_at,
        ended_at: None,
        node: holding.and_then(|holding| holding.node.clone()),
        queue: parcel.queue,
        kind: parcel.kind,
        args: parcel.args,
        unique_key: parcel.unique_key,
        trace: parcel.trace,
        errors: parcel.errors,
    }
}

fn matches(job: &JobRecord, filter: &Filter) -> bool {
    filter.id.is_none_or(|id| job.id == id)
        && filter.queue.as_ref().is_none_or(|queue| job.queue == *queue)
        && filter.kind.as_ref().is_none_or(|kind| job.kind == *kind)
        && filter.state.is_none_or(|state| job.state == state)
        && filter.after.is_none_or(|after| job.id > after)
}
