//! The last good snapshot on disk, so that a node boots while the service is away.

use crate::snapshot::Snapshot;
use crate::store::{Entry, Listing, Position};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that always holds one whole snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Disk(PathBuf);

/// Raised when the format changes; a file of another version counts as none.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    /// Seconds since 1970, by this machine's clock.
    at_seconds: u64,
    position: Position,
    entries: Vec<SavedEntry>,
}

#[derive(Serialize, Deserialize)]
struct SavedEntry {
    key: String,
    value: serde_json::Value,
    created: i64,
    revision: i64,
    lease: Option<String>,
}

impl Disk {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The snapshot and when it was saved, if there is one that this build can read.
    pub(crate) async fn load(&self) -> Option<(Snapshot, SystemTime)> {
        let bytes = match tokio::fs::read(&self.0).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %self.0.display(), %error, "read the snapshot");
                return None;
            }
        };
        match serde_json::from_slice::<Saved>(&bytes) {
            Ok(saved) if saved.version == VERSION => {
                let at = UNIX_EPOCH + Duration::from_secs(saved.at_seconds);
                Some((saved.into(), at))
            }
            Ok(saved) => {
                tracing::warn!(path = %self.0.display(), version = saved.version, "snapshot of another version");
                None
            }
            Err(error) => {
                tracing::warn!(path = %self.0.display(), %error, "snapshot is unreadable");
                None
            }
        }
    }

    /// Replaces the file as a whole: a crash leaves the old one or the new one.
    pub(crate) async fn save(&self, snapshot: &Snapshot, now: SystemTime) -> io::Result<()> {
        let bytes = serde_json::to_vec(&Saved::new(snapshot, now)).map_err(io::Error::other)?;
        if let Some(directory) = self.0.parent() {
            tokio::fs::create_dir_all(directory).await?;
        }
        let making = self.making();
        tokio::fs::write(&making, bytes).await?;
        tokio::fs::rename(&making, &self.0).await
    }

    fn making(&self) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        self.0.with_file_name(format!(".{name}.making"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Saved {
    fn new(snapshot: &Snapshot, now: SystemTime) -> Self {
        let entries = snapshot
            .entries()
            .map(|entry| SavedEntry {
                key: entry.key.to_string(),
                value: (*entry.value).clone(),
                created: entry.created,
                revision: entry.revision,
                lease: entry.lease.as_deref().map(str::to_owned),
            })
            .collect();
        let at_seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { version: VERSION, at_seconds, position: snapshot.position(), entries }
    }
}

impl From<Saved> for Snapshot {
    fn from(saved: Saved) -> Self {
        let entries = saved
            .entries
            .into_iter()
            .map(|entry| Entry {
                key: entry.key.into(),
                value: entry.value.into(),
                created: entry.created,
                revision: entry.revision,
                lease: entry.lease.map(Into::into),
            })
            .collect();
        Listing { position: saved.position, entries }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_snapshot_reads_back_and_an_unreadable_one_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path().join("deeper/coordination.json"));
        assert_eq!(disk.load().await, None);
        let entry = Entry {
            key: "members/app-a".into(),
            value: json!({"name": "app-a"}).into(),
            created: 3,
            revision: 7,
            lease: Some("member/1".into()),
        };
        let snapshot: Snapshot =
            Listing { position: Position { epoch: 2, revision: 9 }, entries: vec![entry] }.into();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        disk.save(&snapshot, now).await.unwrap();
        assert_eq!(disk.load().await, Some((snapshot, now)));
        tokio::fs::write(disk.path(), b"{").await.unwrap();
        assert_eq!(disk.load().await, None);
    }
}
