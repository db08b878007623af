//! Follows the epoch file: a node asks again as soon as another server is named, and takes no older name back.

use crate::epoch::Epoch;
use crate::servers::Servers;
use onefold_core::TaskGroup;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A promotion is to be followed within 200 ms; to read a few bytes of a local file costs some microseconds.
const EVERY: Duration = Duration::from_millis(50);

/// Starts to follow the file. What it says already holds before this returns.
pub(crate) fn follow(servers: &Arc<Servers>, path: &Path, tasks: &TaskGroup) {
    let mut reading = Reading::default();
    reading.take(servers, path, std::fs::read(path));
    let (servers, path, stopping) = (Arc::clone(servers), path.to_owned(), tasks.stopping());
    tasks.spawn("database-epoch", async move {
        stopping.run_until_cancelled(read_forever(&servers, path, reading)).await;
    });
}

async fn read_forever(servers: &Servers, path: PathBuf, mut reading: Reading) {
    loop {
        tokio::time::sleep(EVERY).await;
        reading.take(servers, &path, tokio::fs::read(&path).await);
    }
}

/// What the file held last: only news are looked at, and an error is told once.
#[derive(Debug, Default)]
struct Reading {
    bytes: Vec<u8>,
    trouble: Option<io::ErrorKind>,
}

impl Reading {
    fn take(&mut self, servers: &Servers, path: &Path, read: io::Result<Vec<u8>>) {
        let news = match read {
            Ok(bytes) if bytes == self.bytes => return,
            Ok(bytes) => {
                self.bytes = bytes;
                Epoch::parse(&self.bytes)
            }
            // Whoever promotes servers has not published yet; or it was removed, and what it said last holds on.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => Err(error),
        };
        match news {
            Ok(epoch) => {
                self.trouble = None;
                servers.reigns(epoch);
            }
            Err(error) if self.trouble == Some(error.kind()) => {}
            Err(error) => {
                tracing::error!(
                    file.path = %path.display(),
                    "the epoch file cannot be used ({error}); the epoch before holds on"
                );
                self.trouble = Some(error.kind());
            }
        }
    }
}
