//! Key spaces: a name, the types of key and value, and how long and how its entries may be used.

use crate::key::{CacheKey, Key};
use std::marker::PhantomData;
use std::time::Duration;

const NAME_BYTES_MAX: usize = 60;
const NEGATIVE_SECONDS_MAX: u64 = 10;

/// A typed key space, made as a constant:
///
/// ```
/// use onefold_cache::Cached;
/// use std::time::Duration;
///
/// const LINK: Cached<str, String> = Cached::new("link", Duration::from_secs(300));
/// const STATS: Cached<(String, u32), Vec<u64>> = Cached::new("stats", Duration::from_secs(10))
///     .dear()
///     .stale_while_revalidate(Duration::from_secs(20));
/// ```
///
/// The name is the space's identity in the whole system, over all builds: an invalidation by one build reaches what
/// another has stored. A value is only ever read by a build whose type has the same layout.
pub struct Cached<K: ?Sized, V> {
    policy: Policy,
    types: PhantomData<fn(&K) -> V>,
}

/// What a key space says about its entries, whatever their types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) ttl: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) jitter_percent: u8,
    pub(crate) dear: bool,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) early_percent: u8,
}

impl<K: ?Sized, V> Clone for Cached<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: ?Sized, V> Copy for Cached<K, V> {}

impl<K: ?Sized, V> std::fmt::Debug for Cached<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.policy.fmt(f)
    }
}

impl<K: ?Sized, V> Cached<K, V> {
    /// A key space whose entries live for `ttl` ± 10 %, and those that say "there is none" for at most 10 s.
    ///
    /// # Panics
    /// Where the name is empty or longer than 60 bytes; in a constant, that is an error of the compiler.
    pub const fn new(name: &'static str, ttl: Duration) -> Self {
        assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX, "a key space's name has 1 to 60 bytes");
        let negative_ttl = if ttl.as_secs() < NEGATIVE_SECONDS_MAX {
            ttl
        } else {
            Duration::from_secs(NEGATIVE_SECONDS_MAX)
        };
        let policy = Policy {
            name,
            version: 0,
            ttl,
            negative_ttl,
            jitter_percent: 10,
            dear: false,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            early_percent: 0,
        };
        Self { policy, types: PhantomData }
    }

    /// How long "there is none" is remembered; zero: not at all.
    #[must_use]
    pub const fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.policy.negative_ttl = ttl;
        self
    }

    /// How far each entry's lifetime is drawn from the given one, in percent up and down, at most 50. Without it, what
    /// was loaded together expires together.
    #[must_use]
    pub const fn jitter(mut self, percent: u8) -> Self {
        self.policy.jitter_percent = if percent > 50 { 50 } else { percent };
        self
    }

    /// Entries that are dear to make: they always go through L2, and one node loads for all. Others do so once their
    /// loads are seen to take longer than `cache.dear_after`.
    #[must_use]
    pub const fn dear(mut self) -> Self {
        self.policy.dear = true;
        self
    }

    /// For how long after its end an entry may still be served while somebody loads it anew. A session never gets less
    /// than it has written, stale or not.
    #[must_use]
    pub const fn stale_while_revalidate(mut self, bound: Duration) -> Self {
        self.policy.stale_while_revalidate = bound;
        self
    }

    /// For how long after its end an entry may be served when the load fails.
    #[must_use]
    pub const fn stale_if_error(mut self, bound: Duration) -> Self {
        self.policy.stale_if_error = bound;
        self
    }

    /// One caller loads an entry anew in the last `percent` of its life, while the others use it; at most 50.
    #[must_use]
    pub const fn refresh_early(mut self, percent: u8) -> Self {
        self.policy.early_percent = if percent > 50 { 50 } else { percent };
        self
    }

    /// To be raised when the meaning of a value changes while its type's layout does not.
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.policy.version = version;
        self
    }

    /// The space's name.
    pub const fn name(&self) -> &'static str {
        self.policy.name
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }
}

impl<K: Key + ?Sized, V> Cached<K, V> {
    /// The key by which the whole system knows this entry.
    pub fn key(&self, key: &K) -> CacheKey {
        CacheKey::new(self.policy.name, key)
    }
}

impl Policy {
    /// How long a stale copy is of any use.
    pub(crate) fn keep_stale(&self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error)
    }

    pub(crate) fn ttl_of(&self, negative: bool) -> Duration {
        if negative { self.negative_ttl } else { self.ttl }
    }

    /// Whether an entry with this much of its lifetime left should be loaded anew already.
    pub(crate) fn is_early(&self, remaining: Duration, negative: bool) -> bool {
        self.early_percent > 0 && remaining * 100 < self.ttl_of(negative) * u32::from(self.early_percent)
    }
}

/// A duration drawn evenly from `percent` below to `percent` above the given one.
pub(crate) fn jittered(duration: Duration, percent: u8, chance: f64) -> Duration {
    let spread = f64::from(percent) / 100.0;
    duration.mul_f64(1.0 - spread + 2.0 * spread * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_drawn_around_the_given_one() {
        let ttl = Duration::from_secs(100);
        assert_eq!(jittered(ttl, 10, 0.0), Duration::from_secs(90));
        assert_eq!(jittered(ttl, 10, 0.5), Duration::from_secs(100));
        assert!(jittered(ttl, 10, 0.999) < Duration::from_secs(110));
        assert_eq!(jittered(ttl, 0, 0.7), ttl);
    }

    #[test]
    fn an_entry_is_loaded_early_only_where_that_is_asked_for() {
        let space: Cached<str, String> = Cached::new("space", Duration::from_secs(100));
        assert!(!space.policy().is_early(Duration::from_secs(1), false));
        let early = space.refresh_early(20);
        assert!(early.policy().is_early(Duration::from_secs(19), false));
        assert!(!early.policy().is_early(Duration::from_secs(20), false));
        assert!(
            !early.policy().is_early(Duration::from_secs(9), true),
            "a negative one lives for ten seconds"
        );
    }
}
