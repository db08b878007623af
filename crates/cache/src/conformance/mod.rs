//! The contract of [`L2`] as cases that every engine must pass, one for each promise.
//!
//! A case panics where the promise is broken: it is called from an engine's tests.
#![expect(clippy::missing_panics_doc, reason = "a case panics where its promise is broken, and only there")]

mod history;

pub use history::a_history_of_steps_is_the_one_that_the_rules_give;

use crate::decision::{LEASE_SECONDS, LeaseId, TOMBSTONE_SECONDS};
use crate::key::CacheKey;
use crate::l2::{Copied, Fill, Got, L2, Want};
use futures_util::future::join_all;
use onefold_core::Lsn;
use onefold_core::process::BoxFuture;
use onefold_database::{Evidence, Position, Stamp};
use std::time::Duration;

/// What an engine's tests provide.
pub trait Subject: Sync {
    /// The engine.
    fn engine(&self) -> &dyn L2;
    /// Has the engine lose its memory.
    fn forget(&self) -> BoxFuture<'_, ()>;
    /// Lets time pass for the engine.
    fn age(&self, by: Duration) -> BoxFuture<'_, ()>;
    /// What the primary has flushed.
    fn flushed(&self) -> BoxFuture<'_, Lsn>;
}

const TTL: Duration = Duration::from_mins(5);
const KEEP_STALE: Duration = Duration::from_secs(100);
/// As many sweeps as certainly reach every bucket.
const SWEEPS: usize = 32;

/// Runs every case, each on a key of its own.
pub async fn all(subject: &impl Subject) {
    a_missing_value_is_leased_to_one(subject).await;
    of_many_at_once_one_gets_the_lease(subject).await;
    a_fill_is_read_back_as_it_was(subject).await;
    only_the_current_lease_fills(subject).await;
    an_invalidation_voids_value_and_lease(subject).await;
    a_tombstone_only_rises(subject).await;
    a_released_lease_is_granted_again(subject).await;
    an_old_lease_is_void(subject).await;
    an_expired_value_is_leased_again(subject).await;
    a_refresh_leaves_the_value_to_the_others(subject).await;
    an_invalidation_is_remembered_beyond_its_tombstone(subject).await;
    keys_do_not_mix(subject).await;
    a_history_of_steps_is_the_one_that_the_rules_give(subject).await;
    an_engine_that_forgets_begins_a_new_epoch(subject).await;
}

fn fill(payload: &[u8]) -> Fill<'_> {
    let shown = Position { timeline: 1, lsn: Lsn(8) };
    let evidence = Evidence { stamp: Stamp::Replayed(Lsn(7)), shown };
    Fill { payload, evidence, ttl: TTL, keep_stale: KEEP_STALE }
}

async fn get(subject: &impl Subject, key: &CacheKey, want: Want) -> Got {
    subject.engine().get(key, want).await.expect("get")
}

async fn leased(subject: &impl Subject, key: &CacheKey) -> (LeaseId, Lsn) {
    match get(subject, key, Want::Value).await {
        Got::Leased { lease, need, .. } => (lease, need),
        other => panic!("{key:?} should be leased: {other:?}"),
    }
}

async fn hit(subject: &impl Subject, key: &CacheKey) -> Copied {
    match get(subject, key, Want::Value).await {
        Got::Hit(copied) => copied,
        other => panic!("{key:?} should be there: {other:?}"),
    }
}

async fn filled(subject: &impl Subject, key: &CacheKey, lease: LeaseId, payload: &[u8]) -> bool {
    subject.engine().fill(key, lease, fill(payload)).await.expect("fill")
}

async fn invalidate(subject: &impl Subject, key: &CacheKey, at: Lsn) {
    let missed = subject.engine().invalidate(std::slice::from_ref(key), at).await.expect("invalidate");
    assert_eq!(missed, []);
}

/// Has a value stored, under a lease as it must be.
pub async fn put_one(engine: &dyn L2, key: &CacheKey, payload: &[u8]) {
    let got = engine.get(key, Want::Refresh).await.expect("get");
    let Got::Leased { lease, .. } = got else { panic!("{key:?} should be leased: {got:?}") };
    assert!(engine.fill(key, lease, fill(payload)).await.expect("fill"));
}

fn key(case: &str) -> CacheKey {
    CacheKey::new("conformance", case)
}

/// One caller is to load, the others are told so.
pub async fn a_missing_value_is_leased_to_one(subject: &impl Subject) {
    let key = key("missing");
    leased(subject, &key).await;
    assert_eq!(get(subject, &key, Want::Value).await, Got::Busy { stale: None });
    assert_eq!(get(subject, &key, Want::Refresh).await, Got::Busy { stale: None });
}

/// The same, when they come at the same moment.
pub async fn of_many_at_once_one_gets_the_lease(subject: &impl Subject) {
    let key = key("herd");
    let all = join_all((0..32).map(|_| get(subject, &key, Want::Value))).await;
    let leases = all.iter().filter(|got| matches!(got, Got::Leased { .. })).count();
    assert_eq!(leases, 1, "{all:?}");
}

/// Payload, evidence and lifetime survive.
pub async fn a_fill_is_read_back_as_it_was(subject: &impl Subject) {
    for (case, stamp) in [("replayed", Stamp::Replayed(Lsn(1 << 40))), ("flushed", Stamp::Flushed(Lsn(9)))] {
        let key = key(case);
        let (lease, _) = leased(subject, &key).await;
        let payload: Vec<u8> = (0..=255).collect();
        let shown = Position { timeline: 3, lsn: Lsn(1 << 41) };
        let evidence = Evidence { stamp, shown };
        let fill = Fill { evidence, ..fill(&payload) };
        assert!(subject.engine().fill(&key, lease, fill).await.expect("fill"));
        let copied = hit(subject, &key).await;
        assert_eq!((copied.payload, copied.evidence), (payload, evidence));
        assert!(copied.remaining <= TTL && copied.remaining > TTL / 2, "{:?}", copied.remaining);
        assert_eq!(copied.stale_for, Duration::ZERO);
    }
}

/// Neither a lease that was never granted nor one that was used stores anything.
pub async fn only_the_current_lease_fills(subject: &impl Subject) {
    let key = key("lease");
    let (lease, _) = leased(subject, &key).await;
    assert!(!filled(subject, &key, LeaseId::random(), b"stranger").await);
    assert!(filled(subject, &key, lease, b"first").await);
    assert!(!filled(subject, &key, lease, b"second").await);
    assert_eq!(hit(subject, &key).await.payload, b"first");
}

/// What was filled is gone, what is being loaded is refused, and who loads next must have seen the invalidation.
pub async fn an_invalidation_voids_value_and_lease(subject: &impl Subject) {
    let key = key("invalidated");
    let (lease, _) = leased(subject, &key).await;
    let at = Lsn(subject.flushed().await.0 + 100);
    invalidate(subject, &key, at).await;
    assert!(!filled(subject, &key, lease, b"old").await, "its load may not have seen the commit");
    let (lease, need) = leased(subject, &key).await;
    assert!(need >= at);
    assert!(filled(subject, &key, lease, b"new").await);
    invalidate(subject, &key, at).await;
    match get(subject, &key, Want::Value).await {
        Got::Leased { stale: Some(stale), .. } => {
            assert_eq!((stale.payload.as_slice(), stale.remaining), (b"new".as_slice(), Duration::ZERO));
        }
        other => panic!("the value should be a stale copy: {other:?}"),
    }
}

/// An invalidation that arrives late takes nothing back.
pub async fn a_tombstone_only_rises(subject: &impl Subject) {
    let key = key("tombstone");
    let at = Lsn(subject.flushed().await.0 + 100);
    invalidate(subject, &key, at).await;
    invalidate(subject, &key, Lsn(1)).await;
    assert!(leased(subject, &key).await.1 >= at);
}

/// A loader that failed does not keep the others waiting.
pub async fn a_released_lease_is_granted_again(subject: &impl Subject) {
    let key = key("released");
    let (lease, _) = leased(subject, &key).await;
    subject.engine().release(&key, LeaseId::random()).await.expect("release");
    assert_eq!(
        get(subject, &key, Want::Value).await,
        Got::Busy { stale: None },
        "not the stranger's to give"
    );
    subject.engine().release(&key, lease).await.expect("release");
    leased(subject, &key).await;
    assert!(!filled(subject, &key, lease, b"late").await);
}

/// A loader that died keeps them waiting only so long, and cannot fill after it.
pub async fn an_old_lease_is_void(subject: &impl Subject) {
    let key = key("old lease");
    let (lease, _) = leased(subject, &key).await;
    subject.age(Duration::from_secs(u64::from(LEASE_SECONDS) + 1)).await;
    assert!(!filled(subject, &key, lease, b"late").await);
    let (again, _) = leased(subject, &key).await;
    assert!(!filled(subject, &key, lease, b"late").await);
    assert!(filled(subject, &key, again, b"in time").await);
}

/// Its last value is at hand as a stale copy, and it is known for how long.
pub async fn an_expired_value_is_leased_again(subject: &impl Subject) {
    let key = key("expired");
    let (lease, _) = leased(subject, &key).await;
    assert!(filled(subject, &key, lease, b"value").await);
    subject.age(TTL + KEEP_STALE / 2).await;
    match get(subject, &key, Want::Value).await {
        Got::Leased { stale: Some(stale), .. } => {
            assert!(stale.stale_for >= KEEP_STALE / 2 && stale.stale_for < KEEP_STALE, "{stale:?}");
        }
        other => panic!("the value should be a stale copy: {other:?}"),
    }
    assert!(matches!(get(subject, &key, Want::Value).await, Got::Busy { stale: Some(_) }));
}

/// One renews, the others read on.
pub async fn a_refresh_leaves_the_value_to_the_others(subject: &impl Subject) {
    let key = key("refresh");
    let (lease, _) = leased(subject, &key).await;
    assert!(filled(subject, &key, lease, b"one").await);
    let Got::Leased { lease, .. } = get(subject, &key, Want::Refresh).await else {
        panic!("a refresh should be leased");
    };
    assert_eq!(hit(subject, &key).await.payload, b"one");
    match get(subject, &key, Want::Refresh).await {
        Got::Busy { stale: Some(copy) } => assert!(!copy.remaining.is_zero(), "it is valid still"),
        other => panic!("one refresh at a time: {other:?}"),
    }
    assert!(filled(subject, &key, lease, b"two").await);
    assert_eq!(hit(subject, &key).await.payload, b"two");
}

/// When its tombstone has been swept, the bucket's floor still knows of it.
pub async fn an_invalidation_is_remembered_beyond_its_tombstone(subject: &impl Subject) {
    let key = key("swept");
    // The bucket exists before the invalidation, so that it is no new epoch which raises the floor.
    leased(subject, &key).await;
    let at = Lsn(subject.flushed().await.0 + 1000);
    invalidate(subject, &key, at).await;
    subject.age(Duration::from_secs(u64::from(TOMBSTONE_SECONDS) + 1)).await;
    for _ in 0..SWEEPS {
        subject.engine().sweep().await.expect("sweep");
    }
    assert!(leased(subject, &key).await.1 >= at);
}

/// Not even those of one bucket.
pub async fn keys_do_not_mix(subject: &impl Subject) {
    let keys: Vec<CacheKey> = (0..200).map(|n| CacheKey::new("conformance", &("many", n))).collect();
    for (n, key) in keys.iter().enumerate() {
        let (lease, _) = leased(subject, key).await;
        assert!(filled(subject, key, lease, n.to_string().as_bytes()).await);
    }
    let (gone, kept) = keys.split_at(100);
    assert_eq!(subject.engine().invalidate(gone, Lsn(1)).await.expect("invalidate many"), []);
    for (n, key) in kept.iter().enumerate() {
        assert_eq!(hit(subject, key).await.payload, (n + 100).to_string().as_bytes());
    }
    for key in gone {
        leased(subject, key).await;
    }
}

/// Nothing is left, every lease is void, and every load must have seen what was flushed.
pub async fn an_engine_that_forgets_begins_a_new_epoch(subject: &impl Subject) {
    let (full, loading) = (key("forgotten value"), key("forgotten lease"));
    let (lease, _) = leased(subject, &full).await;
    assert!(filled(subject, &full, lease, b"value").await);
    let (lease, _) = leased(subject, &loading).await;
    let flushed = subject.flushed().await;
    subject.forget().await;
    assert!(!filled(subject, &loading, lease, b"old").await);
    for key in [&full, &loading] {
        assert!(leased(subject, key).await.1 >= flushed);
    }
    assert!(!filled(subject, &loading, lease, b"old").await, "an old lease is none of the new epoch's");
}
