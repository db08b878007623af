//! The tokens' file: two lines of TOML, mode 0600.

use super::{Tokens, TokensError};
use onefold_core::Secret;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

const TOKEN_BYTES: usize = 32;
const TOKEN_CHARACTERS_MIN: usize = 32;
const FILE_BYTES_MAX: u64 = 4096;
const OTHERS: u32 = 0o077;

pub(super) fn open(path: &Path) -> Result<Tokens, TokensError> {
    match read(path) {
        Err(TokensError::File(_, _, e)) if e.kind() == io::ErrorKind::NotFound => {
            create(path)?;
            read(path)
        }
        result => result,
    }
}

fn read(path: &Path) -> Result<Tokens, TokensError> {
    let failed = |e| TokensError::File(path.to_owned(), "read", e);
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.mode() & OTHERS != 0 {
        return Err(TokensError::Exposed(path.to_owned(), metadata.mode() & 0o777));
    }
    let malformed = || TokensError::Malformed(path.to_owned());
    if metadata.len() > FILE_BYTES_MAX {
        return Err(malformed());
    }
    let table: toml::Table = fs::read_to_string(path).map_err(failed)?.parse().map_err(|_| malformed())?;
    let token = |name: &str| {
        let text = table.get(name)?.as_str()?;
        (text.len() >= TOKEN_CHARACTERS_MIN).then(|| Secret::new(text))
    };
    let (view, operate) = token("view").zip(token("operate")).ok_or_else(malformed)?;
    if view == operate { Err(malformed()) } else { Ok(Tokens { view, operate }) }
}

/// Writes a file beside and links it into place: a link never replaces what another process has made meanwhile.
fn create(path: &Path) -> Result<(), TokensError> {
    let random = || Secret::random(TOKEN_BYTES).map_err(TokensError::Random);
    let (view, operate, suffix) = (random()?, random()?, Secret::random(8).map_err(TokensError::Random)?);
    let text = format!(
        "# The console's tokens: keep them secret. Remove this file and restart the observer for new ones.\n\
         view = \"{}\"\noperate = \"{}\"\n",
        view.expose(),
        operate.expose()
    );
    let beside = path.with_extension(format!("new-{}", suffix.expose()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&beside, path));
    // It is one name too many, whether the link was made or not.
    let _ = fs::remove_file(&beside);
    match written {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(TokensError::File(path.to_owned(), "create", e))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_made_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console.tokens");
        let first = open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let second = open(&path).unwrap();
        assert_eq!(first.get(Access::View), second.get(Access::View));
        assert_eq!(first.get(Access::Operate), second.get(Access::Operate));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console.tokens");
        open(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(open(&path), Err(TokensError::Exposed(_, 0o640))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let same = "a".repeat(40);
        for text in
            ["", "view = 1", "view = 'short'\noperate = 'short'", &format!("view='{same}'\noperate='{same}'")]
        {
            fs::write(&path, text).unwrap();
            assert!(matches!(open(&path), Err(TokensError::Malformed(_))), "{text}");
        }
    }
}
