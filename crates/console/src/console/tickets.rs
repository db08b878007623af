//! The tickets that have been spent, kept in a file: a restart must not make a used link good again.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Spent tickets remembered at once. Only holders of a token make tickets, so this is never full by chance; when it
/// is, no further ticket is taken, and tokens still are.
const SPENT_MAX: usize = 4096;
/// Above what that many take.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Nonces of spent tickets, until they would be too old anyway.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    /// None: a restart forgets them.
    path: Option<PathBuf>,
    spent: Mutex<HashMap<String, SystemTime>>,
}

impl Tickets {
    /// Those that the file says were spent; it is made with the first.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        match fs::File::open(path) {
            Ok(file) => drop(file.take(FILE_BYTES_MAX).read_to_string(&mut text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let spent = text.lines().map(|line| {
            let (expires, nonce) = line.split_once(' ')?;
            let expires = UNIX_EPOCH.checked_add(Duration::from_secs(expires.parse().ok()?))?;
            Some((nonce.to_owned(), expires))
        });
        let spent: HashMap<_, _> = spent.collect::<Option<_>>().ok_or_else(|| {
            let fix = "is no list of spent tickets; remove it together with the tokens' file";
            io::Error::new(io::ErrorKind::InvalidData, format!("{} {fix}", path.display()))
        })?;
        Ok(Self { path: Some(path.to_owned()), spent: Mutex::new(spent) })
    }

    /// Spends a ticket; false if it has been spent before. Once this says true, no restart takes it again.
    ///
    /// # Errors
    /// Where its use cannot be recorded; then it is not good for anything either.
    pub(crate) fn spend(&self, nonce: String, expires: SystemTime, now: SystemTime) -> io::Result<bool> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, expires| *expires > now);
        if spent.len() >= SPENT_MAX || spent.contains_key(&nonce) {
            return Ok(false);
        }
        spent.insert(nonce, expires);
        self.path.as_deref().map_or(Ok(()), |path| write(path, &spent))?;
        Ok(true)
    }
}

/// In the place of the old file, at once: a crash leaves the one or the other.
fn write(path: &Path, spent: &HashMap<String, SystemTime>) -> io::Result<()> {
    let seconds = |at: &SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let lines: Vec<String> =
        spent.iter().map(|(nonce, expires)| format!("{} {nonce}\n", seconds(expires))).collect();
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(lines.concat().as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The name is on the disk when its directory is.
    path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_stays_spent_after_a_restart_until_it_is_too_old() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console.tickets");
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let spend = |nonce: &str, now| {
            Tickets::open(&path).unwrap().spend(nonce.to_owned(), at(100), at(now)).unwrap()
        };
        assert!(spend("a", 1) && spend("b", 2));
        assert!(!spend("a", 3) && !spend("b", 99));
        // Late tickets are refused by their date: the file need not hold them for ever.
        assert!(spend("c", 100));
        assert_eq!(fs::read_to_string(&path).unwrap(), "100 c\n");
    }

    #[test]
    fn a_ticket_whose_use_cannot_be_recorded_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let tickets = Tickets::open(&directory.path().join("gone/console.tickets")).unwrap();
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        assert!(tickets.spend("a".to_owned(), later, SystemTime::UNIX_EPOCH).is_err());
        fs::write(directory.path().join("x"), "no list").unwrap();
        let refused = Tickets::open(&directory.path().join("x")).unwrap_err().to_string();
        assert!(refused.contains("remove it together with the tokens' file"), "{refused}");
    }
}
