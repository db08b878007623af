//! The roles of the cluster and their generated passwords, each in a file of mode 0600.

use super::account_files;
use onefold_core::Secret;
use onefold_core::process::{Account, ProcessError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The superuser: for people, for the supervisor and for what repairs a cluster.
pub(crate) const ADMINISTRATOR: &str = "onefold_admin";
/// What the application's nodes connect as: owner of its database, no superuser.
pub(crate) const APPLICATION: &str = "onefold";
/// What replicas stream as.
pub(crate) const REPLICATION: &str = "onefold_replication";
/// The application's database.
pub(crate) const DATABASE: &str = "onefold";

const PASSWORD_BYTES: usize = 24;

/// The passwords of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) administrator: Secret,
    pub(crate) application: Secret,
    pub(crate) replication: Secret,
    directory: PathBuf,
}

impl Credentials {
    /// Reads the passwords in `directory`, and makes those that are missing.
    pub(crate) fn load(directory: &Path) -> Result<Self, ProcessError> {
        let password = |name: &str| password(&directory.join(format!("postgres-{name}.password")));
        Ok(Self {
            administrator: password("admin")?,
            application: password("application")?,
            replication: password("replication")?,
            directory: directory.to_owned(),
        })
    }

    /// Writes the application's URL of one server into a file, and answers the reference to it.
    pub(crate) fn application_url(&self, name: &str, address: SocketAddr) -> Result<String, ProcessError> {
        self.url(&format!("{name}.url"), APPLICATION, &self.application, address)
    }

    /// Writes the superuser's URL of one server into a file, and answers the reference to it.
    pub(crate) fn administrator_url(&self, name: &str, address: SocketAddr) -> Result<String, ProcessError> {
        self.url(&format!("{name}-admin.url"), ADMINISTRATOR, &self.administrator, address)
    }

    fn url(&self, file: &str, user: &str, password: &Secret, at: SocketAddr) -> Result<String, ProcessError> {
        let path = self.directory.join(file);
        let url = format!("postgres://{user}:{}@{at}/{DATABASE}\n", password.expose());
        account_files::write(&path, &url, None)?;
        Ok(format!("file:{}", path.display()))
    }
}

fn password(path: &Path) -> Result<Secret, ProcessError> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(account_files::failed("read", path, &error));
        }
        _ => {}
    }
    let secret = fresh()?;
    account_files::write(path, &format!("{}\n", secret.expose()), None)?;
    Ok(secret)
}

/// A new password.
pub(crate) fn fresh() -> Result<Secret, ProcessError> {
    Secret::random(PASSWORD_BYTES).map_err(|error| {
        ProcessError::unusable(format!("the system has no randomness: {error}"), "make /dev/urandom readable")
    })
}

/// Writes the file from which a replica takes the password of its stream.
pub(crate) fn write_passfile(
    path: &Path,
    password: &Secret,
    account: Option<&Account>,
) -> Result<(), ProcessError> {
    account_files::write(path, &format!("*:*:*:{REPLICATION}:{}\n", password.expose()), account)
}
