//! The roles of the cluster and their generated passwords, each in a file of mode 0600.

use onefold_core::Secret;
use onefold_core::engine::Seat;
use onefold_core::process::{Host, ProcessError};
use std::path::Path;

/// The superuser: for people, for the supervisor and for what repairs a cluster.
pub(crate) const ADMINISTRATOR: &str = "onefold_admin";
/// What the application's nodes connect as: owner of its database, no superuser.
pub(crate) const APPLICATION: &str = "onefold";
/// What replicas stream as.
pub(crate) const REPLICATION: &str = "onefold_replication";
/// The application's database.
pub(crate) const DATABASE: &str = "onefold";

/// The passwords of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) administrator: Secret,
    pub(crate) application: Secret,
    pub(crate) replication: Secret,
}

impl Credentials {
    /// Reads the passwords in `directory`, and makes those that are missing.
    pub(crate) fn load(directory: &Path, host: &dyn Host) -> Result<Self, ProcessError> {
        let password = |name: &str| host.password(&directory.join(format!("postgres-{name}.password")), None);
        Ok(Self {
            administrator: password("admin")?,
            application: password("application")?,
            replication: password("replication")?,
        })
    }

    /// Writes the URLs of one server into files, and answers the reference to the application's. The superuser's is
    /// for people and tools, never for nodes.
    pub(crate) fn write_urls(
        &self,
        directory: &Path,
        seat: &Seat,
        host: &dyn Host,
    ) -> Result<String, ProcessError> {
        let write = |file: String, user: &str, password: &Secret| {
            let path = directory.join(file);
            let url = format!("postgres://{user}:{}@{}/{DATABASE}\n", password.expose(), seat.address);
            host.write(&path, &url, None)?;
            Ok(format!("file:{}", path.display()))
        };
        write(format!("{}-admin.url", seat.name), ADMINISTRATOR, &self.administrator)?;
        write(format!("{}.url", seat.name), APPLICATION, &self.application)
    }

    /// The file from which a replica takes the password of its stream, and a rewind that of the superuser.
    pub(crate) fn passfile(&self) -> String {
        let line = |user: &str, password: &Secret| format!("*:*:*:{user}:{}\n", password.expose());
        line(REPLICATION, &self.replication) + &line(ADMINISTRATOR, &self.administrator)
    }
}
