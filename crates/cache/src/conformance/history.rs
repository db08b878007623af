//! Random histories, each step compared with what the rules themselves say.

use super::{Subject, fill};
use crate::decision::{self, LeaseId, Record};
use crate::key::CacheKey;
use crate::l2::{Got, Want};
use onefold_core::Lsn;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const STEPS: usize = 600;
const KEYS: usize = 3;
const SEED: u64 = 20_261_124;

/// What the rules say of one key.
#[derive(Default)]
struct Expected {
    record: Record,
    payload: Option<Vec<u8>>,
    granted: Vec<LeaseId>,
}

/// Gets, fills, releases and invalidations in random order on few keys.
pub async fn a_history_of_steps_is_the_one_that_the_rules_give(subject: &impl Subject) {
    let mut chance = StdRng::seed_from_u64(SEED);
    let keys: [CacheKey; KEYS] = std::array::from_fn(|n| CacheKey::new("conformance", &("history", n)));
    let mut expected: [Expected; KEYS] = Default::default();
    for step in 0..STEPS {
        let n = chance.random_range(0..KEYS);
        let (key, expected) = (&keys[n], &mut expected[n]);
        match chance.random_range(0..10) {
            0..4 => get(subject, key, expected, Want::Value).await,
            4 => get(subject, key, expected, Want::Refresh).await,
            5..8 => fill_one(subject, key, expected, step, &mut chance).await,
            8 => {
                let Some(lease) = any(&expected.granted, &mut chance) else { continue };
                subject.engine().release(key, lease).await.expect("release");
                if expected.record.lease == Some(lease) {
                    expected.record.lease = None;
                }
            }
            _ => {
                let at = Lsn(chance.random_range(1..1000));
                super::invalidate(subject, key, at).await;
                expected.record = decision::invalidated(expected.record, at);
            }
        }
    }
}

async fn get(subject: &impl Subject, key: &CacheKey, expected: &mut Expected, want: Want) {
    let got = subject.engine().get(key, want).await.expect("get");
    let (record, payload) = (&mut expected.record, &expected.payload);
    match got {
        Got::Hit(copied) => {
            assert!(record.valid && want == Want::Value, "a hit where there should be none");
            assert_eq!(Some(&copied.payload), payload.as_ref());
        }
        Got::Leased { lease, need, stale } => {
            assert!(record.lease.is_none() && (!record.valid || want == Want::Refresh), "leased twice");
            assert!(need >= decision::need(Some(record.tombstone), Lsn::ZERO));
            assert_eq!(stale.map(|copied| copied.payload), *payload);
            record.lease = Some(lease);
            expected.granted.push(lease);
        }
        Got::Busy { .. } => {
            assert!(record.lease.is_some(), "busy with nothing");
            assert!(!record.valid || want == Want::Refresh, "a valid value is not given");
        }
    }
}

async fn fill_one(
    subject: &impl Subject,
    key: &CacheKey,
    expected: &mut Expected,
    step: usize,
    chance: &mut StdRng,
) {
    let Some(lease) = any(&expected.granted, chance) else { return };
    let payload = step.to_string().into_bytes();
    let stored = subject.engine().fill(key, lease, fill(&payload)).await.expect("fill");
    assert_eq!(stored, decision::fill_is_stored(expected.record.lease, lease));
    if stored {
        expected.record = Record { valid: true, lease: None, ..expected.record };
        expected.payload = Some(payload);
    }
}

/// The last lease half of the time, else any that was ever granted.
fn any(granted: &[LeaseId], chance: &mut StdRng) -> Option<LeaseId> {
    let last = granted.len().checked_sub(1)?;
    Some(granted[if chance.random() { last } else { chance.random_range(0..=last) }])
}
