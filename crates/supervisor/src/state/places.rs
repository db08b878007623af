//! The places outside of a state directory, where one is needed: chosen so that the engines' account can reach them
//! and that sockets have short paths.

use super::account;
use crate::error::Error;
use nix::unistd::{Uid, User};
use onefold_core::process::Account;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where root's engines keep their data: each state in a directory named by its path and by chance. By chance,
/// since a state that was removed by hand leaves its engines' data here, whose passwords are gone; a new state at the
/// same path neither uses nor destroys it ([`super::remove`] does).
const ROOT_HOME: &str = "/var/lib/onefold";

/// A socket's path may have 103 bytes on macOS (107 on Linux); `/.s.PGSQL.65535.lock` is added to the directory.
const SOCKET_DIRECTORY_BYTES_MAX: usize = 103 - 21;

/// Where the engines of a new state keep their data.
pub(super) fn data(root: &Path, account: Option<&Account>) -> Result<PathBuf, Error> {
    let within = root.join("engines");
    let Some(account) = account else { return Ok(within) };
    if account::reaches(account, &within) {
        return Ok(within);
    }
    let name = format!("{}-{:04x}", short_name(root), rand::random::<u16>());
    let places = places();
    let fits = |place: &PathBuf| open_to_all(place).is_ok() && account::reaches(account, &place.join(&name));
    places.iter().find(|place| fits(place)).map(|place| place.join(&name)).ok_or_else(|| Error::State {
        path: ROOT_HOME.into(),
        problem: format!("cannot hold the engines' data: the account `{}` cannot reach it", account.name),
        fix: "open the directories above it (mode 0711), or start this as another user than root".to_owned(),
    })
}

fn places() -> [PathBuf; 2] {
    [PathBuf::from(ROOT_HOME), std::env::temp_dir().join("onefold")]
}

/// What a state directory at this path has, or once had, elsewhere: data and sockets of its engines.
pub(super) fn elsewhere(root: &Path) -> Vec<PathBuf> {
    let name = short_name(root);
    let data = places().map(|place| (place, format!("{name}-"), String::new()));
    let runtime = PathBuf::from(format!("/run/user/{}", Uid::effective()));
    let sockets = [std::env::temp_dir(), PathBuf::from("/tmp"), runtime]
        .map(|place| (place, "onefold-".to_owned(), format!("-{name}")));
    let mut found = Vec::new();
    for (place, prefix, suffix) in data.into_iter().chain(sockets) {
        let names = std::fs::read_dir(&place).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let ours = names.filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(&suffix)
        });
        found.extend(ours.map(|name| place.join(name)));
    }
    found
}

/// Makes root's directory of directories: anybody may pass, nobody else may list or write.
fn open_to_all(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    match std::fs::DirBuilder::new().mode(0o711).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    let found = std::fs::symlink_metadata(path)?;
    if found.is_dir() && found.uid() == Uid::effective().as_raw() {
        Ok(())
    } else {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
}

/// The user's own runtime directory, or else the temporary one, or else the shortest that there is.
pub(super) fn sockets(root: &Path, account: Option<&Account>) -> PathBuf {
    let owner = account.map_or_else(|| Uid::effective().as_raw(), |account| account.uid);
    let name = format!("onefold-{owner}-{}", short_name(root));
    let runtime = PathBuf::from(format!("/run/user/{owner}"));
    let places =
        [Some(runtime).filter(|place| account.is_none() && place.is_dir()), Some(std::env::temp_dir())];
    let fits = |path: &PathBuf| {
        path.as_os_str().len() <= SOCKET_DIRECTORY_BYTES_MAX
            && account.is_none_or(|account| account::reaches(account, path))
    };
    let candidates = places.into_iter().flatten().map(|place| place.join(&name));
    candidates.into_iter().find(fits).unwrap_or_else(|| Path::new("/tmp").join(&name))
}

/// Where an account keeps what can be made anew.
pub(super) fn cache(home: &Path, account: Option<&Account>) -> PathBuf {
    if let Some(Account { name: owner, .. }) = account.filter(|_| home.starts_with(ROOT_HOME)) {
        return Path::new(ROOT_HOME).join(format!("cache-{owner}"));
    }
    let user = User::from_uid(Uid::effective()).ok().flatten();
    let cache = user.map(|user| user.dir.join(".cache/onefold"));
    let usable = cache.filter(|path| account.is_none() && path.parent().is_some_and(writable));
    usable.unwrap_or_else(|| home.join("cache"))
}

fn writable(directory: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
        || directory
            .parent()
            .is_some_and(|home| !directory.exists() && access(home, AccessFlags::W_OK).is_ok())
}

/// The same for the same state directory, and for no other.
fn short_name(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    digest.iter().take(6).fold(String::new(), |mut name, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_directories_stay_short_however_long_the_state_is() {
        let long = PathBuf::from(format!("/{}", "deep/".repeat(60)));
        let directory = sockets(&long, None);
        assert!(directory.as_os_str().len() <= SOCKET_DIRECTORY_BYTES_MAX, "{}", directory.display());
        assert_ne!(directory, sockets(Path::new("/other"), None));
    }
}
