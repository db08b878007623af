//! Takes messages out of the streams for one worker, and claims them.

use super::claims::{Letter, split};
use super::ends;
use super::hand::{Debt, Hand, Held, Word};
use super::parcel::Parcel;
use super::server::{CALL_MAX, causes};
use super::sql;
use super::store::Nats;
use crate::delivery::Fetched;
use crate::postgres::held::Held as OwnConnection;
use crate::store::{Attempted, Batch, Consumer, End, Execution, More, Settlement};
use crate::{BoxFuture, Error, JobId, Priority};
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::PullConsumer;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::future::try_join;
use onefold_core::Lsn;
use onefold_database::Connection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::{Json, PgLsn};

/// The consumer of one worker.
pub(super) struct Fetcher {
    nats: Nats,
    hand: Arc<Hand>,
    connection: OwnConnection,
    queues: Vec<String>,
    /// Which queue comes first within a priority: another at each fetch, so that none starves.
    turn: usize,
}

/// A message that is understood.
struct Arrived {
    parcel: Parcel,
    address: String,
    sequence: u64,
    /// It was delivered before.
    again: bool,
}

/// What is known of a job whose message comes again.
struct Prior {
    losses: i32,
    errors: Vec<Attempted>,
    has_ended: bool,
    is_held: bool,
}

impl Fetcher {
    pub(super) fn new(nats: Nats, hand: Arc<Hand>, queues: &[String]) -> Self {
        let connection = OwnConnection::new(nats.0.database.clone());
        Self { nats, hand, connection, queues: queues.to_vec(), turn: 0 }
    }

    /// Best priority first, the queues of one in turn. A claim for each lane that has something: usually one.
    async fn take(&mut self, limit: usize) -> Result<Batch, Error> {
        // Without the database nothing can be claimed: then nothing is taken.
        let connection = self.connection.get().await?;
        self.turn = (self.turn + 1) % self.queues.len();
        let mut jobs = Vec::new();
        for priority in Priority::ALL {
            for n in 0..self.queues.len() {
                let queue = &self.queues[(n + self.turn) % self.queues.len()];
                if jobs.len() >= limit {
                    return Ok(Batch { jobs, more: More::Yes });
                }
                let lane = Lane { nats: &self.nats, hand: &self.hand, connection, queue, priority };
                match lane.take(limit - jobs.len()).await {
                    Ok(taken) => jobs.extend(taken),
                    Err(error) if jobs.is_empty() => return Err(error),
                    // What was claimed is the worker's; the next fetch meets the error again.
                    Err(_) => return Ok(Batch { jobs, more: More::Yes }),
                }
            }
        }
        let more = if jobs.len() >= limit { More::Yes } else { More::No(None) };
        Ok(Batch { jobs, more })
    }
}

impl Consumer for Fetcher {
    fn fetch(&mut self, limit: usize) -> BoxFuture<'_, Result<Batch, Error>> {
        Box::pin(async move {
            let batch = self.take(limit).await;
            if batch.is_err() {
                self.connection.release();
            }
            batch
        })
    }
}

/// One queue at one priority, for one fetch.
struct Lane<'a> {
    nats: &'a Nats,
    hand: &'a Hand,
    connection: &'a Connection,
    queue: &'a str,
    priority: Priority,
}

impl Lane<'_> {
    async fn take(&self, limit: usize) -> Result<Vec<Fetched>, Error> {
        let messages = self.pull(limit).await?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let (arrived, mut words) = self.read(messages);
        let (arrived, put_off) = self.sift(arrived).await?;
        words.extend(put_off);
        self.say(words).await;
        if arrived.is_empty() { Ok(Vec::new()) } else { self.claim(arrived).await }
    }

    /// What is there now, without waiting.
    async fn pull(&self, limit: usize) -> Result<Vec<Message>, Error> {
        let streams = &self.nats.0.streams;
        streams.server.ready().await?;
        let lanes = streams.lanes(self.queue).await?;
        let pulled = pull(&lanes.consumers[self.priority as usize], limit).await;
        pulled.map_err(|problem| {
            streams.forget(self.queue);
            streams.server.failed(format!("fetch from queue `{}`: {problem}", self.queue))
        })
    }

    /// Reads messages. What nobody of ours has written is ended.
    fn read(&self, messages: Vec<Message>) -> (Vec<Arrived>, Vec<Debt>) {
        let (mut arrived, mut words): (Vec<Arrived>, Vec<Debt>) =
            (Vec::with_capacity(messages.len()), Vec::new());
        for message in messages {
            let Some(address) = message.reply.as_ref().map(ToString::to_string) else { continue };
            let (sequence, again) =
                message.info().map_or((0, true), |info| (info.stream_sequence, info.delivered > 1));
            match serde_json::from_slice::<Parcel>(&message.payload) {
                // Published twice, beyond the window in which JetStream sees that.
                Ok(parcel) if !again && self.hand.holds(parcel.id) => words.push(debt(address, Word::Done)),
                Ok(parcel) => arrived.push(Arrived { parcel, address, sequence, again }),
                Err(error) => {
                    let (queue, problem) = (self.queue, error.to_string());
                    tracing::error!(queue, sequence, problem, "a message that is no job was removed");
                    words.push(debt(address, Word::Never));
                }
            }
        }
        (arrived, words)
    }

    /// Keeps what may run. JetStream delivers again by its own clock; what a lease holds, or has ended, does not run.
    async fn sift(&self, arrived: Vec<Arrived>) -> Result<(Vec<Arrived>, Vec<Debt>), Error> {
        let again: Vec<i64> = arrived.iter().filter(|one| one.again).map(|one| one.parcel.id).collect();
        if again.is_empty() {
            return Ok((arrived, Vec::new()));
        }
        let mut priors = self.priors(&again).await?;
        let (mut kept, mut words) = (Vec::with_capacity(arrived.len()), Vec::new());
        for mut one in arrived {
            match priors.remove(&one.parcel.id).filter(|_| one.again) {
                Some(prior) if prior.has_ended => words.push(debt(one.address, Word::Done)),
                Some(prior) if prior.is_held => words.push(debt(one.address, Word::Later)),
                Some(prior) => {
                    one.parcel.attempt += prior.losses;
                    one.parcel.note(prior.errors);
                    kept.push(one);
                }
                None => kept.push(one),
            }
        }
        Ok((kept, words))
    }

    async fn priors(&self, jobs: &[i64]) -> Result<HashMap<i64, Prior>, Error> {
        let rows = self.connection.query_cached(sql::PRIOR, &[&jobs]).await?;
        let mut priors = HashMap::with_capacity(rows.len());
        for row in rows {
            let errors: Option<Json<Vec<Attempted>>> = row.try_get(2)?;
            let prior = Prior {
                losses: row.try_get(1)?,
                errors: errors.map(|Json(errors)| errors).unwrap_or_default(),
                has_ended: row.try_get(3)?,
                is_held: row.try_get(4)?,
            };
            priors.insert(row.try_get(0)?, prior);
        }
        Ok(priors)
    }

    /// Says what needs no commit. What is not heard is delivered again, and meets the same answer.
    async fn say(&self, words: Vec<Debt>) {
        if let Err(error) = self.nats.send(&words).await {
            tracing::debug!(messages = words.len(), "put messages off: {error}");
        }
    }

    /// Makes messages the worker's, by a commit; nobody's but JetStream's, if its lease has ended.
    async fn claim(&self, arrived: Vec<Arrived>) -> Result<Vec<Fetched>, Error> {
        let carrier =
            arrived.first().and_then(|one| split(&one.address)).map_or("", |(carrier, _)| carrier).to_owned();
        let jobs: Vec<i64> = arrived.iter().map(|one| one.parcel.id).collect();
        let letters: Vec<String> = arrived.iter().map(letter).collect();
        let worker = self.hand.worker.0;
        let claimed = try_join(
            self.connection.query_cached(sql::CLAIM, &[&worker, &self.queue, &carrier, &jobs, &letters]),
            self.connection.query_cached(sql::CANCELLED_AMONG, &[&jobs]),
        )
        .await;
        let (claims, cancelled) = match claimed {
            Ok((claims, cancelled)) if !claims.is_empty() => (claims, cancelled),
            other => {
                self.say(arrived.into_iter().map(|one| debt(one.address, Word::Again)).collect()).await;
                return other.map(|_| Vec::new()).map_err(Error::from);
            }
        };
        let claim: i32 = claims[0].try_get(0)?;
        let at: DateTime<Utc> = claims[0].try_get(1)?;
        let seen = Lsn(claims[0].try_get::<_, PgLsn>(2)?.into());
        let cancelled = cancelled.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<i64>, _>>()?;
        let fetched = self.hold(claim, arrived, |parcel| parcel.fetched(claim, at, seen));
        self.cancel(claim, &cancelled).await?;
        Ok(fetched.into_iter().filter(|job| !cancelled.contains(&job.id.0)).collect())
    }

    /// Takes the messages of a claim into the worker's hand, with this attempt counted.
    fn hold(&self, claim: i32, arrived: Vec<Arrived>, fetched: impl Fn(&Parcel) -> Fetched) -> Vec<Fetched> {
        let since = self.nats.0.clock.now();
        let mut jobs = Vec::with_capacity(arrived.len());
        let mut held = Vec::with_capacity(arrived.len());
        for Arrived { mut parcel, address, again, .. } in arrived {
            parcel.attempt += 1;
            jobs.push(fetched(&parcel));
            held.push(Held { parcel, claim, address, has_losses: again, since });
        }
        self.hand.take(claim, held);
        jobs
    }

    /// Ends what somebody wanted cancelled while it lay in the stream.
    async fn cancel(&self, claim: i32, jobs: &HashSet<i64>) -> Result<(), Error> {
        let end = |job: &i64| Settlement {
            execution: Execution { id: JobId(*job), run: claim },
            end: End::Cancelled(Duration::ZERO),
        };
        let ends: Vec<Settlement> = jobs.iter().map(end).collect();
        if ends.is_empty() {
            Ok(())
        } else {
            ends::settle(self.nats, self.hand, self.connection, &ends).await
        }
    }
}

fn letter(one: &Arrived) -> String {
    let tail = split(&one.address).map_or("", |(_, tail)| tail).to_owned();
    let Parcel { attempt, attempts_max, .. } = one.parcel;
    Letter { attempt: attempt + 1, attempts_max, sequence: one.sequence, tail }.encode()
}

/// A word for a message that is in no claim.
fn debt(address: String, word: Word) -> Debt {
    Debt { claim: 0, address, word }
}

/// What came before an end that is none, a server that dies among them, is there to be worked on.
async fn pull(consumer: &PullConsumer, limit: usize) -> Result<Vec<Message>, String> {
    let silence = || format!("no answer within {CALL_MAX:?}");
    let mut end = std::pin::pin!(tokio::time::sleep(CALL_MAX));
    let mut batch = tokio::select! {
        asked = consumer.fetch().max_messages(limit).messages() => asked.map_err(|error| causes(&error))?,
        () = &mut end => return Err(silence()),
    };
    let mut messages = Vec::new();
    loop {
        let next = tokio::select! {
            next = batch.next() => next,
            () = &mut end => Some(Err(silence().into())),
        };
        let problem = match next {
            Some(Ok(message)) => {
                messages.push(message);
                continue;
            }
            None => return Ok(messages),
            Some(Err(error)) => error.to_string(),
        };
        return if messages.is_empty() { Err(problem) } else { Ok(messages) };
    }
}
