//! Which server it is, and what its version is known for.

/// A server's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// The name of its cluster, if it is in one.
    pub cluster: Option<String>,
    /// Whether this version may lose a write to a stream that it has confirmed, or redeliver it, for bugs that
    /// were mended later.
    pub is_frail: bool,
    /// Whether this version can sync each write before it acknowledges it (`sync_interval: always`).
    pub knows_sync: bool,
    /// On how many servers this node keeps jobs.
    pub replicas: usize,
}

impl Version {
    /// The oldest server that works: 2.9 brought the consumers that are made here.
    pub(super) const MIN: Self = Self(2, 9, 0);
    /// The first that can sync each write.
    pub(super) const SYNCS: Self = Self(2, 10, 0);
    /// Older ones have bugs in the replication of streams and consumers that were mended later.
    pub(super) const SOUND: Self = Self(2, 10, 23);

    /// What cannot be read is taken for the oldest.
    pub(super) fn of(text: &str) -> Self {
        let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self(next(), next(), next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(
            Version::of("2.9.10") < Version::of("2.10.2")
                && Version::of("2.10.23-beta.1") >= Version(2, 10, 23)
        );
        assert!(Version::of("unknown") < Version::MIN);
    }
}
