//! Entries and transactions.

use super::Etcd;
use super::past::told;
use super::step;
use super::value::{self, Stored, StoredPast};
use super::wire::{Condition, Repeat, Step, TxnAnswer, TxnRequest};
use crate::error::Error;
use crate::store::{Compare, Entry, Listing, Operation, Outcome, Position, Txn, Writer};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// How often a transaction that others disturb is tried again.
const TRIES_MAX: u32 = 64;

/// An entry as a transaction found it.
type Found = BTreeMap<Bytes, Option<Entry>>;

impl Etcd {
    pub(super) async fn list_entries(&self, prefix: &str) -> Result<Listing, Error> {
        let (epoch, answer) = loop {
            let epoch = self.epoch().await?;
            let steps = vec![step::list(self.keys.entries(prefix)), step::get(self.keys.head())];
            let answer = self.read(steps).await?;
            // The answer may have shown that another one has begun.
            if self.epoch().await? == epoch {
                break (epoch, answer);
            }
        };
        let entries =
            answer.read(0).iter().map(|kv| value::entry(&self.keys, kv)).collect::<Result<_, _>>()?;
        Ok(Listing { position: Position { epoch, revision: head(&answer) }, entries })
    }

    /// One step where etcd can decide it itself; else reads, decides, and writes if nothing has changed meanwhile.
    pub(super) async fn commit_txn(&self, txn: &Txn) -> Result<Outcome, Error> {
        let (held, revision) = if can_etcd_decide(txn) {
            let answer = self.write(self.as_one_step(txn)?).await?;
            (answer.held, head(&answer))
        } else {
            self.decide_and_commit(txn).await?
        };
        let outcome = Outcome { held, position: Position { epoch: self.epoch().await?, revision } };
        self.feed.expect(outcome.position);
        Ok(outcome)
    }

    fn as_one_step(&self, txn: &Txn) -> Result<TxnRequest, Error> {
        let condition = |compare: &Compare| match compare {
            Compare::Revision { key, is } => Some(step::modified(self.keys.entry(key), *is)),
            Compare::Value { .. } => None,
        };
        let nothing = Found::new();
        Ok(TxnRequest {
            conditions: txn.compare.iter().filter_map(condition).collect(),
            then: self.steps(&txn.then, &txn.writer, &nothing)?,
            otherwise: self.steps(&txn.otherwise, &txn.writer, &nothing)?,
        })
    }

    /// Answers whether its comparisons held, and the newest revision.
    async fn decide_and_commit(&self, txn: &Txn) -> Result<(bool, i64), Error> {
        for _ in 0..TRIES_MAX {
            let (found, newest) = self.find(txn).await?;
            let held = txn.compare.iter().all(|compare| self.holds(compare, &found));
            let chosen = if held { &txn.then } else { &txn.otherwise };
            let steps = self.steps(chosen, &txn.writer, &found)?;
            if steps.len() == 1 {
                // Only the reading of the head: nothing changes.
                return Ok((held, newest));
            }
            let conditions = found.iter().map(|(key, entry)| {
                step::modified(key.clone(), entry.as_ref().map_or(0, |entry| entry.revision))
            });
            let request = TxnRequest { conditions: conditions.collect(), then: steps, otherwise: vec![] };
            let answer = self.write(request).await?;
            if answer.held {
                return Ok((held, head(&answer)));
            }
        }
        Err(Error::Away(format!("others changed the same keys {TRIES_MAX} times meanwhile")))
    }

    /// Reads what a transaction must know before it writes: what it compares, and what it deletes.
    async fn find(&self, txn: &Txn) -> Result<(Found, i64), Error> {
        let mut found: Found = Found::new();
        for compare in &txn.compare {
            let (Compare::Revision { key, .. } | Compare::Value { key, .. }) = compare;
            found.insert(self.keys.entry(key), None);
        }
        for operation in txn.then.iter().chain(&txn.otherwise) {
            if let Operation::Delete { key } = operation {
                found.insert(self.keys.entry(key), None);
            }
        }
        let steps = found.keys().cloned().map(step::get).chain([step::get(self.keys.head())]).collect();
        let answer = self.read(steps).await?;
        for (index, entry) in found.values_mut().enumerate() {
            *entry = answer.read(index).first().map(|kv| value::entry(&self.keys, kv)).transpose()?;
        }
        Ok((found, head(&answer)))
    }

    fn holds(&self, compare: &Compare, found: &Found) -> bool {
        let entry = |key: &str| found.get(&self.keys.entry(key)).and_then(Option::as_ref);
        match compare {
            Compare::Revision { key, is } => entry(key).map_or(0, |entry| entry.revision) == *is,
            Compare::Value { key, is } => entry(key).is_some_and(|entry| *entry.value == *is),
        }
    }

    /// What operations are in etcd: the entries, what they were, the head if anything changes, and its reading last.
    fn steps(&self, operations: &[Operation], writer: &Writer, found: &Found) -> Result<Vec<Step>, Error> {
        let (mut steps, at) = (Vec::new(), self.clock.wall().into());
        for operation in operations {
            match operation {
                Operation::Put { key, value, lease } => {
                    let stored = Stored { value: value.clone(), lease: lease.clone() };
                    steps.push(step::put(self.keys.entry(key), value::bytes(&stored)?));
                    if let Some(lease) = lease {
                        steps.push(step::put(self.keys.carried(lease, key), ""));
                    }
                    let kept = StoredPast { value: value.clone(), ..told(writer, at) };
                    steps.push(step::put(self.keys.past(key, lease.is_some()), value::bytes(&kept)?));
                }
                Operation::Delete { key } => {
                    let Some(entry) = found.get(&self.keys.entry(key)).and_then(Option::as_ref) else {
                        continue;
                    };
                    steps.extend(self.deletion(entry, writer, at)?);
                }
            }
        }
        if !steps.is_empty() {
            steps.push(step::put(self.keys.head(), ""));
        }
        steps.push(step::get(self.keys.head()));
        Ok(steps)
    }

    /// The steps that delete an entry.
    pub(super) fn deletion(
        &self,
        entry: &Entry,
        writer: &Writer,
        at: DateTime<Utc>,
    ) -> Result<Vec<Step>, Error> {
        let kept = StoredPast { deleted: true, ..told(writer, at) };
        let mut steps = vec![step::delete(self.keys.entry(&entry.key))];
        if let Some(lease) = &entry.lease {
            steps.push(step::delete(self.keys.carried(lease, &entry.key)));
        }
        steps.push(step::put(self.keys.past(&entry.key, entry.lease.is_some()), value::bytes(&kept)?));
        Ok(steps)
    }

    /// Reads as of one revision, which is the newest that any member has acknowledged.
    pub(super) async fn read(&self, steps: Vec<Step>) -> Result<TxnAnswer, Error> {
        self.ask(TxnRequest { then: steps, ..TxnRequest::default() }, Repeat::Harmless).await
    }

    pub(super) async fn write(&self, request: TxnRequest) -> Result<TxnAnswer, Error> {
        self.ask(request, Repeat::Unsafe).await
    }

    async fn ask(&self, request: TxnRequest, repeat: Repeat) -> Result<TxnAnswer, Error> {
        let before = self.epoch.seen();
        let answer = self.client.call_as(&request, repeat).await?;
        if let Some(header) = &answer.header {
            self.epoch.observe(before, header);
        }
        Ok(answer)
    }
}

/// Whether etcd can decide a transaction without its writer having read: it compares values by their bytes, and would
/// count the deletion of nothing as a change.
fn can_etcd_decide(txn: &Txn) -> bool {
    let is_revision = |compare: &Compare| matches!(compare, Compare::Revision { .. });
    let is_put = |operation: &Operation| matches!(operation, Operation::Put { .. });
    txn.compare.iter().all(is_revision) && txn.then.iter().chain(&txn.otherwise).all(is_put)
}

/// The newest revision, where a transaction has read the head last.
pub(super) fn head(answer: &TxnAnswer) -> i64 {
    answer.read_last().first().map_or(0, |kv| kv.modified)
}

/// The condition that an entry is as it was read.
pub(super) fn unchanged(keys: &super::keys::Keys, entry: &Entry) -> Condition {
    step::modified(keys.entry(&entry.key), entry.revision)
}
