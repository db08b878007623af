//! Where engines keep their data and sockets, and under which account they run.
//!
//! Started by a user, all is the user's and lies in the state directory. Started by root, engines run under an
//! unprivileged account, which cannot pass through the closed state directory: then their data lies under
//! `/var/lib/onefold`, or under the temporary directory where that cannot be made. The choice is remembered.

use super::{account, holder, places, private};
use crate::error::Error;
use onefold_core::process::Account;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where engines keep their data and sockets, and under which account they run.
#[derive(Clone, Debug)]
pub struct Engines {
    home: PathBuf,
    cache: PathBuf,
    sockets: PathBuf,
    account: Option<Account>,
}

/// What `engines.json` remembers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) home: PathBuf,
    pub(crate) sockets: PathBuf,
}

impl Engines {
    pub(crate) fn find(root: &Path) -> Result<Self, Error> {
        let remembered = remembered(root)?.filter(|remembered| remembered.home.is_dir());
        let owner = remembered.as_ref().and_then(|remembered| account::owner(&remembered.home));
        let account = match owner {
            Some(owner) => Some(owner),
            None => account::unprivileged()?,
        };
        let home = match remembered {
            Some(remembered) => remembered.home,
            None => places::data(root, account.as_ref())?,
        };
        let sockets = places::sockets(root, account.as_ref());
        let cache = places::cache(&home, account.as_ref());
        for directory in [&home, &sockets, &cache] {
            private::directory(directory, account.as_ref())?;
        }
        let found = Self { home, cache, sockets, account };
        found.remember(root)?;
        Ok(found)
    }

    /// The directory of their data, which their account owns.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A directory for what is dear to make and can be made anew, shared by all systems of this account.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// A directory for sockets whose path is short enough for them.
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// The account that they run under; none means the supervisor's own.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    fn remember(&self, root: &Path) -> Result<(), Error> {
        let path = root.join("engines.json");
        let remembered = Remembered { home: self.home.clone(), sockets: self.sockets.clone() };
        let bytes = serde_json::to_vec_pretty(&remembered).map_err(std::io::Error::from);
        bytes
            .and_then(|bytes| private::replace(&path, &bytes))
            .map_err(|error| Error::state(&path, "write", &error))
    }
}

/// Where the sockets of the system are that runs on a state directory.
///
/// # Errors
/// [`Error::NotRunning`] where none does, [`Error::State`] where that cannot be read.
pub fn sockets(directory: &Path) -> Result<PathBuf, Error> {
    let runs = holder(directory)?.is_some();
    let remembered = remembered(directory)?.filter(|_| runs);
    remembered.map(|remembered| remembered.sockets).ok_or_else(|| Error::NotRunning(directory.to_owned()))
}

pub(crate) fn remembered(root: &Path) -> Result<Option<Remembered>, Error> {
    let path = root.join("engines.json");
    match std::fs::read(&path) {
        Ok(bytes) => {
            let read =
                serde_json::from_slice(&bytes).map_err(|error| Error::state(&path, "read", &error.into()));
            read.map(Some)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::state(&path, "read", &error)),
    }
}
