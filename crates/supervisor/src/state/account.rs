//! The unprivileged account that engines run under when the supervisor is root, and what it can reach.

use crate::error::Error;
use nix::unistd::{Uid, User};
use onefold_core::process::Account;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Accounts that are there for such a purpose, the fittest first: Postgres' own, and the one that is nobody's.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The account for engines: none unless this process is root.
pub(crate) fn unprivileged() -> Result<Option<Account>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let found = CANDIDATES.iter().find_map(|name| User::from_name(name).ok().flatten());
    found.map(account).map(Some).ok_or_else(|| Error::State {
        path: "/etc/passwd".into(),
        problem: format!(
            "has none of the accounts {}, and Postgres refuses to run as root",
            CANDIDATES.join(", ")
        ),
        fix: "make one of them, or start this as another user than root".to_owned(),
    })
}

/// The account that owns what an earlier start left, unless that is root.
pub(crate) fn owner(path: &Path) -> Option<Account> {
    let uid = Uid::from_raw(std::fs::metadata(path).ok()?.uid());
    if uid.is_root() || uid == Uid::effective() {
        return None;
    }
    User::from_uid(uid).ok().flatten().map(account)
}

fn account(user: User) -> Account {
    Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
}

/// Whether an account may pass through every directory above `path`.
pub(crate) fn reaches(account: &Account, path: &Path) -> bool {
    path.ancestors().skip(1).all(|directory| {
        std::fs::metadata(directory).is_ok_and(|found| {
            let mode = found.mode();
            let bit = match (found.uid() == account.uid, found.gid() == account.gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            mode & bit != 0
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_closed_directory_on_the_way_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let stranger = Account { name: "stranger".to_owned(), uid: 54_321, gid: 54_321 };
        let open =
            |mode| std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        open(0o700);
        assert!(!reaches(&stranger, &home.path().join("engines")));
        open(0o711);
        assert!(reaches(&stranger, &home.path().join("engines")));
    }
}
