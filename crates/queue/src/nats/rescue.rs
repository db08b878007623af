//! Frees what workers held that are no more.

use super::claims::{Fate, Letter, Taken};
use super::hand::{Debt, Word};
use super::parcel::{Parcel, Slip};
use super::server::causes;
use super::sql;
use super::store::Nats;
use crate::postgres::sql as tables;
use crate::store::{Attempted, Rescued, WorkerId};
use crate::{Error, Store as _};
use onefold_database::Tx;
use std::collections::{BTreeSet, HashMap, HashSet};
use tokio_postgres::types::Json;

/// What a rescued job's error history says of the attempt.
const DIED: &str = "the worker died or lost its lease";

/// A message that was lost with its worker.
struct Lost {
    job: i64,
    letter: Letter,
    queue: String,
    address: String,
}

/// Claims that were taken over, sorted by what their messages need.
#[derive(Default)]
struct Estate {
    /// Settled or completed: to be acknowledged.
    ended: Vec<Debt>,
    /// Given back already: told again.
    freed: Vec<Debt>,
    lost: Vec<Lost>,
}

/// One transaction: the expired rows go first, so that claims and completions in progress under them have ended;
/// then the claims without a worker are dealt with. What they had settled is acknowledged before the commit, or
/// nobody would know of it; what they had not is delivered again after it, and finds its loss counted.
pub(super) async fn rescue(nats: &Nats) -> Result<Rescued, Error> {
    let mut tx = nats.begin().await?;
    let expired: Vec<i64> = tx.query(tables::EXPIRE, &[]).await?;
    let mut freed: Vec<String> = tx.query(sql::ORPHANS, &[]).await?;
    let taken: Vec<Taken> = tx.query(sql::TAKE_OVER, &[]).await?;
    let workers = expired.len() as u64;
    if workers == 0 && freed.is_empty() && taken.is_empty() {
        tx.roll_back().await?;
        return Ok(Rescued::default());
    }
    let estate = sort(&mut tx, &taken).await?;
    let dying = bury(nats, &mut tx, &estate.lost).await?;
    nats.send(&estate.ended).await?;
    tx.commit().await?;

    let alive = |lost: &&Lost| !dying.contains_key(&lost.job);
    freed.extend(estate.lost.iter().filter(alive).map(|lost| lost.queue.clone()));
    let queues: BTreeSet<String> = freed.iter().cloned().collect();
    let mut words = estate.freed;
    words.extend(estate.lost.into_iter().map(|lost| {
        let word = if dying.contains_key(&lost.job) { Word::Never } else { Word::Again };
        Debt { claim: 0, address: lost.address, word }
    }));
    tell(nats, &words).await;
    for queue in &queues {
        nats.0.postgres.hint(queue);
    }
    Ok(Rescued { workers, freed, dead: dying.into_values().flatten().collect() })
}

/// Ends one worker, and gives back what it holds. Answers how many jobs those were.
pub(super) async fn resign(nats: &Nats, worker: WorkerId) -> Result<u64, Error> {
    let mut tx = nats.begin().await?;
    tx.execute(tables::RESIGN, &[&worker.0]).await?;
    let taken: Vec<Taken> = tx.query(sql::TAKE_BACK, &[&worker.0]).await?;
    let estate = sort(&mut tx, &taken).await?;
    nats.send(&estate.ended).await?;
    tx.commit().await?;

    let queues: BTreeSet<&str> = estate.lost.iter().map(|lost| lost.queue.as_str()).collect();
    let mut words = estate.freed;
    words.extend(estate.lost.iter().map(|lost| Debt {
        claim: 0,
        address: lost.address.clone(),
        word: Word::Again,
    }));
    tell(nats, &words).await;
    for queue in queues {
        nats.0.postgres.hint(queue);
    }
    Ok(estate.lost.len() as u64)
}

/// What is not heard is delivered again by JetStream's own clock.
async fn tell(nats: &Nats, words: &[Debt]) {
    if let Err(error) = nats.send(words).await {
        tracing::warn!(messages = words.len(), "give messages back: {error}; they come again by themselves");
    }
}

async fn sort(tx: &mut Tx, taken: &[Taken]) -> Result<Estate, Error> {
    let jobs: Vec<i64> = taken.iter().flat_map(Taken::messages).map(|(job, ..)| job).collect();
    let mut estate = Estate::default();
    if jobs.is_empty() {
        return Ok(estate);
    }
    let completed: Vec<i64> = tx.query(sql::COMPLETED_AMONG, &[&jobs]).await?;
    let completed: HashSet<i64> = completed.into_iter().collect();
    for claim in taken {
        for (job, letter, address, fate) in claim.messages() {
            match fate {
                Fate::Lost if !completed.contains(&job) => {
                    let (letter, queue) = (letter.clone(), claim.queue.clone());
                    estate.lost.push(Lost { job, letter, queue, address });
                }
                Fate::Freed => estate.freed.push(Debt { claim: 0, address, word: Word::Again }),
                _ => estate.ended.push(Debt { claim: 0, address, word: Word::Done }),
            }
        }
    }
    Ok(estate)
}

/// Counts the losses, and makes dead letters of those whose last attempt it was: their kinds, by job. None for one
/// whose message is gone.
async fn bury(nats: &Nats, tx: &mut Tx, lost: &[Lost]) -> Result<HashMap<i64, Option<String>>, Error> {
    if lost.is_empty() {
        return Ok(HashMap::new());
    }
    let (jobs, attempts): (Vec<i64>, Vec<i32>) =
        lost.iter().map(|lost| (lost.job, lost.letter.attempt)).unzip();
    tx.execute(sql::LOSE, &[&jobs, &attempts, &DIED]).await?;
    let cancelled: Vec<i64> = tx.query(sql::CANCELLED_AMONG, &[&jobs]).await?;
    let last =
        |lost: &&Lost| lost.letter.attempt >= lost.letter.attempts_max && !cancelled.contains(&lost.job);
    let last: Vec<&Lost> = lost.iter().filter(last).collect();
    if last.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<i64> = last.iter().map(|lost| lost.job).collect();
    let errors: Vec<(i64, Json<Vec<Attempted>>)> = tx.query(sql::LOSSES, &[&ids]).await?;
    let mut errors: HashMap<i64, Vec<Attempted>> =
        errors.into_iter().map(|(id, Json(errors))| (id, errors)).collect();
    let mut dead = Vec::with_capacity(last.len());
    let mut dying = HashMap::with_capacity(last.len());
    for lost in last {
        let parcel = read(nats, lost).await?;
        dying.insert(lost.job, parcel.as_ref().map(|parcel| parcel.kind.clone()));
        if let Some(mut parcel) = parcel {
            parcel.attempt = lost.letter.attempt;
            parcel.note(errors.remove(&lost.job).unwrap_or_default());
            dead.push(parcel);
        }
    }
    let slips: Vec<_> = dead.iter().map(|parcel| Json(Slip::of(parcel))).collect();
    tx.execute(sql::DIE, &[&slips]).await?;
    tx.execute(sql::UNKEY, &[&ids]).await?;
    tx.execute(sql::FORGET_LOSSES, &[&ids]).await?;
    Ok(dying)
}

/// The message of a job, if it is still there.
async fn read(nats: &Nats, lost: &Lost) -> Result<Option<Parcel>, Error> {
    let streams = &nats.0.streams;
    let lanes = streams.lanes(&lost.queue).await?;
    match lanes.stream.get_raw_message(lost.letter.sequence).await {
        Ok(message) => {
            let parcel = serde_json::from_slice::<Parcel>(&message.payload).ok();
            Ok(parcel.filter(|parcel| parcel.id == lost.job))
        }
        Err(error) if super::ledger::is_missing(&error) => Ok(None),
        Err(error) => Err(streams.server.failed(format!("read a job: {}", causes(&error)))),
    }
}
