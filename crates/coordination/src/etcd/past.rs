//! What keys once were, and how that is forgotten.

use super::Etcd;
use super::kv::head;
use super::step;
use super::value::{self, StoredPast};
use super::wire::{KeyValue, TxnRequest};
use crate::error::Error;
use crate::store::{Past, Writer};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// How many keys one transaction deletes at most: a server takes 128 steps unless it is told otherwise.
const DELETES_MAX: usize = 100;

impl Etcd {
    pub(super) async fn past_of(&self, key: &str, limit: u32) -> Result<Vec<Past>, Error> {
        let answer = self.read(vec![step::newest(self.keys.pasts(key), i64::from(limit))]).await?;
        answer.read(0).iter().map(value::past).collect()
    }

    /// Says up to where changes are forgotten, and then deletes what nobody looks back at any more.
    pub(super) async fn forget_up_to(&self, revision: i64, past: u32) -> Result<(), Error> {
        let key = self.keys.forgotten();
        let forgotten = loop {
            let answer = self.read(vec![step::get(key.clone()), step::get(self.keys.head())]).await?;
            let (before, written) = forgotten(answer.read(0))?;
            let now = revision.min(head(&answer));
            if now <= before {
                break before;
            }
            let request = TxnRequest {
                conditions: vec![step::modified(key.clone(), written)],
                then: vec![step::put(key.clone(), now.to_string())],
                otherwise: vec![],
            };
            if self.write(request).await?.held {
                break now;
            }
        };
        self.feed.forget_up_to(forgotten);
        let answer = self.read(vec![step::names(self.keys.all_pasts())]).await?;
        let aged = aged(answer.read(0), forgotten, past);
        for some in aged.chunks(DELETES_MAX) {
            let then = some.iter().cloned().map(step::delete).collect();
            self.write(TxnRequest { then, ..TxnRequest::default() }).await?;
        }
        Ok(())
    }
}

/// What is kept of a change: who, why and when.
pub(super) fn told(writer: &Writer, at: DateTime<Utc>) -> StoredPast {
    let Writer { actor, reason } = writer.clone();
    StoredPast { deleted: false, value: serde_json::Value::Null, actor, reason, at }
}

/// Up to where changes are forgotten, and when that was written.
pub(super) fn forgotten(read: &[KeyValue]) -> Result<(i64, i64), Error> {
    let Some(kv) = read.first() else { return Ok((0, 0)) };
    Ok((value::parse(kv)?, kv.modified))
}

/// What may go of the past: of carried keys all, of durable ones what is older than the last `kept`.
fn aged(pasts: &[KeyValue], forgotten: i64, kept: u32) -> Vec<Bytes> {
    let mut by_key: BTreeMap<&[u8], Vec<(i64, bool, &Bytes)>> = BTreeMap::new();
    for past in pasts {
        let Some(end) = past.key.iter().rposition(|byte| *byte == 0) else { continue };
        let is_carried = past.key.get(end + 1) == Some(&b'l');
        by_key.entry(&past.key[..end]).or_default().push((past.modified, is_carried, &past.key));
    }
    let kept = usize::try_from(kept).unwrap_or(usize::MAX);
    let mut aged = Vec::new();
    for mut past in by_key.into_values() {
        past.sort_unstable_by_key(|(revision, ..)| std::cmp::Reverse(*revision));
        let gone = past.into_iter().enumerate().filter(|(age, (revision, is_carried, _))| {
            *revision <= forgotten && (*is_carried || *age >= kept)
        });
        aged.extend(gone.map(|(_, (.., key))| key.clone()));
    }
    aged
}

#[cfg(test)]
mod tests {
    use super::super::keys::Keys;
    use super::*;

    #[test]
    fn of_the_past_the_last_values_of_durable_keys_stay() {
        let keys = Keys::new("sys");
        let past = |key: &str, is_carried: bool, modified: i64| KeyValue {
            key: keys.past(key, is_carried),
            modified,
            ..KeyValue::default()
        };
        let all = [
            past("a", false, 1),
            past("a", false, 3),
            past("a", false, 5),
            past("b", false, 2),
            past("m", true, 4),
            past("m", true, 6),
        ];
        let gone = aged(&all, 5, 2);
        let revisions: Vec<i64> =
            all.iter().filter(|past| gone.contains(&past.key)).map(|past| past.modified).collect();
        assert_eq!(revisions, [1, 4]);
    }
}
