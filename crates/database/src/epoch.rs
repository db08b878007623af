//! The epoch file: which server is the primary, as whoever promotes servers says.
//!
//! Nodes find the primary by asking. The file makes them ask sooner, and it fences: while there is one, no server but the
//! one that it names takes this node's writes, whatever a server says of itself.
//!
//! It is one JSON object, `{"epoch": 7, "primary": "postgres-2", "promoted": true}`; further keys are left to who writes it.
//! A later choice has a higher number. The file is replaced as a whole, by renaming.

use onefold_core::NodeName;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// More than this is no epoch file.
const BYTES_MAX: usize = 4096;

/// One reign: a number that only grows, and the server that takes writes in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Higher than that of every reign before.
    pub epoch: u64,
    /// The server's name, as the configuration gives it.
    pub primary: NodeName,
    /// Whether it takes writes already. Nodes see that by asking; until then, no other server takes theirs.
    #[serde(default)]
    pub promoted: bool,
}

impl Epoch {
    /// Replaces the file. Who reads it finds the old or the new one, also after a crash.
    ///
    /// # Errors
    /// Where the directory cannot be written to.
    pub fn publish(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let name = path.file_name().ok_or_else(|| invalid("the path names no file".to_owned()))?;
        let mut draft = name.to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = directory.join(draft);
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(directory)?.sync_all()
    }

    /// What the file says; none where there is no file.
    ///
    /// # Errors
    /// Where it cannot be read, or holds something else.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() > BYTES_MAX {
            return Err(invalid(format!("it is longer than {BYTES_MAX} bytes")));
        }
        serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))
    }
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_as_a_whole_and_reads_back() {
        let directory = std::env::temp_dir().join(format!("onefold-epoch-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("epoch.json");
        assert_eq!(Epoch::read(&path).unwrap(), None);
        for epoch in [1, 2] {
            let written = Epoch { epoch, primary: "postgres-2".parse().unwrap(), promoted: epoch == 2 };
            written.publish(&path).unwrap();
            assert_eq!(Epoch::read(&path).unwrap(), Some(written));
        }
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "no draft is left behind");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_is_no_epoch_is_an_error_and_further_keys_are_not() {
        for text in ["", "{}", "{\"epoch\": -1, \"primary\": \"a\"}", "{\"epoch\": 1, \"primary\": \"A b\"}"]
        {
            assert!(Epoch::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Epoch::parse(&[b' '; BYTES_MAX + 1]).is_err());
        let with_more = Epoch::parse(b"{\"epoch\": 7, \"primary\": \"postgres-2\", \"seats\": 3}").unwrap();
        assert_eq!((with_more.epoch, with_more.primary.as_str()), (7, "postgres-2"));
    }
}
