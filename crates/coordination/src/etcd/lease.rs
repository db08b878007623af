//! Leases: a key that a lease of etcd's carries. etcd ends it, by its leader's clock, and deletes the key.

use super::Etcd;
use super::client::CallError;
use super::epoch;
use super::value::{self, StoredLease};
use super::wire::{self, AskTimeToLive, KeepAlive, KeyValue, Revoke, TxnRequest};
use super::{kv, step};
use crate::error::Error;
use crate::store::{Acquired, Entry, FencingToken, Grant, Hint, Report, Writer};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// A lease that this process holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The id of etcd's lease.
    id: i64,
    /// What was reported last.
    report: i64,
}

impl Etcd {
    pub(super) async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Acquired, Error> {
        let key = self.keys.lease(name);
        // A lease of etcd's costs two writes, to have it and to give it back: who met another holder looks first.
        if self.contended.is_noted(name) {
            let answer = self.read(vec![step::get(key.clone())]).await?;
            if let Some(kv) = answer.read(0).first() {
                return self.held_by_another(kv).await;
            }
        }
        let id = self.client.call(&wire::Grant { ttl_seconds: whole_seconds(ttl), id: 0 }).await?.id;
        let lease = value::bytes(&StoredLease { holder: holder.to_owned(), report: 0 })?;
        let request = TxnRequest {
            conditions: vec![step::created(key.clone(), 0)],
            then: vec![step::put_leased(key.clone(), lease, id), step::get(key.clone())],
            otherwise: vec![step::get(key)],
        };
        let answer = self.write(request).await;
        if !matches!(&answer, Ok(answer) if answer.held) {
            self.revoke_later(id);
        }
        let answer = answer?;
        match answer.read_last().first() {
            Some(kv) if answer.held => {
                self.contended.forget(name);
                let token = epoch::token(self.epoch().await?, kv.created);
                self.lock_held().insert(token, Held { id, report: 0 });
                Ok(Acquired::Granted(Grant { name: name.to_owned(), token: FencingToken(token) }))
            }
            Some(kv) => {
                self.contended.note(name);
                self.held_by_another(kv).await
            }
            // It has ended in between.
            None => Ok(Acquired::Held { remaining: Duration::ZERO, holder: String::new() }),
        }
    }

    /// etcd answers in whole seconds, rounded down: asked again a moment too late is better than again and again, and
    /// the end is hinted.
    async fn held_by_another(&self, kv: &KeyValue) -> Result<Acquired, Error> {
        let StoredLease { holder, .. } = value::parse(kv)?;
        let left = self.client.call(&AskTimeToLive { id: kv.lease }).await?;
        let seconds = (left.ttl_seconds + 1).min(left.granted_seconds);
        let remaining = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Ok(Acquired::Held { remaining, holder })
    }

    pub(super) async fn renew_lease(&self, grant: &Grant, report: i64) -> Result<bool, Error> {
        let Some(held) = self.held(grant).await? else { return Ok(false) };
        let key = self.keys.lease(&grant.name);
        // Somebody may have deleted the key, to break the lock: etcd's lease lives on without it.
        let kept = async { Ok::<_, Error>(self.client.call(&KeepAlive { id: held.id }).await?) };
        let (kept, answer) = tokio::try_join!(kept, self.read(vec![step::get(key.clone())]))?;
        let current = answer.read(0).first();
        let is_ours = match current {
            Some(kv) => epoch::token(self.epoch().await?, kv.created) == grant.token.0,
            None => false,
        };
        if kept.ttl_seconds <= 0 || !is_ours {
            self.lock_held().remove(&grant.token.0);
            return Ok(false);
        }
        if let Some(kv) = current.filter(|_| held.report != report) {
            self.report(kv, held, grant, report).await?;
        }
        Ok(true)
    }

    async fn report(&self, kv: &KeyValue, held: Held, grant: &Grant, report: i64) -> Result<(), Error> {
        let lease = StoredLease { report, ..value::parse(kv)? };
        let request = TxnRequest {
            conditions: vec![step::created(kv.key.clone(), kv.created)],
            then: vec![step::rewrite(kv.key.clone(), value::bytes(&lease)?)],
            otherwise: vec![],
        };
        if self.write(request).await?.held {
            self.lock_held().insert(grant.token.0, Held { report, ..held });
        }
        Ok(())
    }

    pub(super) async fn release_lease(&self, grant: &Grant) -> Result<(), Error> {
        if let Some(held) = self.held(grant).await? {
            // One that has ended is free as well.
            match self.client.call(&Revoke { id: held.id }).await {
                Ok(_) => {}
                Err(CallError::Refused(refusal)) if refusal.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
            self.lock_held().remove(&grant.token.0);
        }
        self.feed.hint(Hint::Released(grant.name.clone()));
        Ok(())
    }

    /// The lease of a grant, if it still has one; also of one that another process was granted.
    async fn held(&self, grant: &Grant) -> Result<Option<Held>, Error> {
        if let Some(held) = self.lock_held().get(&grant.token.0) {
            return Ok(Some(*held));
        }
        let Some(kv) = self.current(grant).await? else { return Ok(None) };
        let StoredLease { report, .. } = value::parse(&kv)?;
        Ok(Some(Held { id: kv.lease, report }))
    }

    /// The key of a grant, if that still holds its lease.
    pub(super) async fn current(&self, grant: &Grant) -> Result<Option<KeyValue>, Error> {
        let answer = self.read(vec![step::get(self.keys.lease(&grant.name))]).await?;
        let epoch = self.epoch().await?;
        let is_ours = |kv: &&KeyValue| epoch::token(epoch, kv.created) == grant.token.0;
        Ok(answer.read(0).first().filter(is_ours).cloned())
    }

    fn revoke_later(&self, id: i64) {
        let client = self.client.clone();
        self.tasks.spawn("coordination.revoke", async move {
            if let Err(error) = client.call(&Revoke { id }).await {
                tracing::debug!(?error, "give back a lease of etcd that holds nothing; it ends by itself");
            }
        });
    }

    pub(super) async fn reap_leases(&self, prefix: &str) -> Result<u64, Error> {
        let steps = vec![step::names(self.keys.all_carried(prefix)), step::names(self.keys.leases(prefix))];
        let answer = self.read(steps).await?;
        let alive: HashSet<&str> =
            answer.read(1).iter().filter_map(|kv| self.keys.strip(&kv.key, "lease/")).collect();
        let mut ended: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for kv in answer.read(0) {
            let carried = self.keys.strip(&kv.key, "carried/").and_then(|rest| rest.split_once('\0'));
            if let Some((lease, key)) = carried.filter(|(lease, _)| !alive.contains(lease)) {
                ended.entry(lease).or_default().push(key);
            }
        }
        let mut count = 0;
        for (lease, keys) in ended {
            count += u64::from(self.reap(lease, &keys).await?);
        }
        Ok(count)
    }

    /// Deletes the keys of a lease that has ended, unless somebody takes it or writes them meanwhile.
    async fn reap(&self, lease: &str, keys: &[&str]) -> Result<bool, Error> {
        let read = keys.iter().map(|key| step::get(self.keys.entry(key))).collect();
        let answer = self.read(read).await?;
        let writer = Writer { actor: "onefold".to_owned(), reason: Some("lease ended".to_owned()) };
        let at = self.clock.wall().into();
        let mut request = TxnRequest {
            conditions: vec![step::created(self.keys.lease(lease), 0)],
            ..TxnRequest::default()
        };
        let mut is_changed = false;
        for (index, key) in keys.iter().enumerate() {
            let entry: Option<Entry> =
                answer.read(index).first().map(|kv| value::entry(&self.keys, kv)).transpose()?;
            match entry.filter(|entry| entry.lease.as_deref() == Some(lease)) {
                Some(entry) => {
                    request.conditions.push(kv::unchanged(&self.keys, &entry));
                    request.then.extend(self.deletion(&entry, &writer, at)?);
                    is_changed = true;
                }
                // It is there no more, or another lease carries it.
                None => request.then.push(step::delete(self.keys.carried(lease, key))),
            }
        }
        if is_changed {
            request.then.push(step::put(self.keys.head(), ""));
        }
        Ok(self.write(request).await?.held && is_changed)
    }

    pub(super) async fn reports_under(&self, prefix: &str) -> Result<Vec<Report>, Error> {
        let answer = self.read(vec![step::list(self.keys.leases(prefix))]).await?;
        let report = |kv: &KeyValue| {
            let StoredLease { holder, report } = value::parse(kv)?;
            let name = self.keys.strip(&kv.key, "lease/").unwrap_or_default().to_owned();
            Ok(Report { name, holder, report })
        };
        answer.read(0).iter().map(report).collect()
    }
}

/// etcd counts leases in whole seconds.
fn whole_seconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1)
}
