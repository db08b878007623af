//! A fresh cluster with its roles and its empty database, made once for each version and copied for each start:
//! `initdb` is more than half of the time that a new cluster takes.

use super::binaries::Binaries;
use super::credentials::{ADMINISTRATOR, APPLICATION, DATABASE, REPLICATION};
use onefold_core::Secret;
use onefold_core::process::{Account, Command, Host, Output, ProcessError};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Raised with every change of what a template holds.
const LAYOUT: u32 = 2;

/// Lower and upper case of all letters, sorted by code point; macOS has only the plain one.
const LOCALE: &str = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };

/// A cluster that has never been started as a server.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// The superuser's password until a cluster has its own.
    pub(crate) password: Secret,
}

/// What is needed to make a template.
pub(crate) struct Maker<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) cache: &'a Path,
    pub(crate) account: Option<&'a Account>,
    pub(crate) host: &'a dyn Host,
}

impl Maker<'_> {
    /// The template of this version, made now if there is none. Several supervisors may ask at once.
    pub(crate) async fn template(&self) -> Result<Template, ProcessError> {
        let name = format!("postgres-{}-{LAYOUT}", self.binaries.version.text);
        let home = self.cache.join(name);
        if let Some(template) = read(&home) {
            return Ok(template);
        }
        let _lock = lock(home.with_extension("lock")).await?;
        match read(&home) {
            Some(template) => Ok(template),
            None => self.make(&home).await,
        }
    }

    async fn make(&self, home: &Path) -> Result<Template, ProcessError> {
        let making = home.with_extension("making");
        remove(&making)?;
        self.succeed(Command::new("mkdir").args(["-m", "700"]).arg(&making)).await?;
        let password_file = making.join("password");
        self.host.password(&password_file, self.account)?;
        self.succeed(self.initdb(&making.join("data"), &password_file)).await?;
        self.host.write(&making.join("roles.sql"), &statements(), self.account)?;
        self.succeed(self.single_user(&making.join("data"), &making.join("roles.sql"))).await?;
        std::fs::rename(&making, home).map_err(|error| ProcessError::file("rename", &making, &error))?;
        read(home).ok_or_else(|| {
            ProcessError::unusable(
                format!("{} has vanished", home.display()),
                "leave the cache alone meanwhile",
            )
        })
    }

    fn initdb(&self, data: &Path, password_file: &Path) -> Command {
        self.binaries
            .command("initdb")
            .arg("--pgdata")
            .arg(data)
            .arg("--pwfile")
            .arg(password_file)
            .args(["--username", ADMINISTRATOR, "--auth=scram-sha-256", "--data-checksums"])
            .args(["--encoding=UTF8", "--locale", LOCALE, "--no-sync", "--no-instructions"])
    }

    /// The server without a postmaster, which takes statements from stdin; `sh` opens the file for it.
    fn single_user(&self, data: &Path, statements: &Path) -> Command {
        Command::new("/bin/sh")
            .args(["-c", r#"exec "$0" --single -j -D "$1" -c fsync=off postgres < "$2""#])
            .arg(self.binaries.command("postgres").program)
            .arg(data)
            .arg(statements)
    }

    async fn succeed(&self, command: Command) -> Result<(), ProcessError> {
        let shown = command.program.display().to_string();
        succeeded(&shown, &self.host.run(command.account(self.account.cloned())).await?)
    }
}

/// What a failed command means: its own words say it best.
pub(crate) fn succeeded(command: &str, output: &Output) -> Result<(), ProcessError> {
    if output.success {
        return Ok(());
    }
    let problem = format!("`{command}` failed: {}", output.text.trim());
    let fix = if output.text.contains("No space left") {
        "free some space on that disk"
    } else {
        "mend what it complains about, and start again"
    };
    Err(ProcessError::unusable(problem, fix))
}

/// Single-user mode ends a statement at a semicolon before an empty line.
fn statements() -> String {
    [
        format!("create role {APPLICATION} login;"),
        format!("grant pg_monitor to {APPLICATION};"),
        format!("create role {REPLICATION} login replication;"),
        format!("create database {DATABASE} owner {APPLICATION};"),
        // The default begins with a schema of the role's name, which is also that of the platform's tables: an
        // application's tables must not land among them.
        format!("alter database {DATABASE} set search_path = public;"),
    ]
    .join("\n\n")
        + "\n\n"
}

fn read(home: &Path) -> Option<Template> {
    let password = std::fs::read_to_string(home.join("password")).ok()?;
    Some(Template { data: home.join("data"), password: Secret::new(password.trim()) })
}

async fn lock(path: PathBuf) -> Result<File, ProcessError> {
    let locking = tokio::task::spawn_blocking(move || {
        let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| ProcessError::file("lock", &path, &error))
    });
    locking.await.map_err(ProcessError::not_yet)?
}

/// Removes what an interrupted making or copying has left.
pub(crate) fn remove(path: &Path) -> Result<(), ProcessError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ProcessError::file("remove", path, &error))
        }
        _ => Ok(()),
    }
}
