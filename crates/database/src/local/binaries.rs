//! Postgres' programs on this machine.

use onefold_core::process::{Command, Host, ProcessError};
use std::path::{Path, PathBuf};

/// The oldest version with what the cluster needs (`client_connection_check_interval`, pipelining without traps).
const MAJOR_MIN: u32 = 14;

const INSTALL: &str = "install it with `make up`, `apt-get install postgresql` or `brew install postgresql@17`, or \
                       set database.binaries to the directory that holds `initdb` and `postgres`";

/// What libpq takes from the environment (and a replica is a client): a `PGPASSWORD` would win over our files.
const LIBPQ: [&str; 33] = [
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATA",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGTARGETSESSIONATTRS",
    "PGTZ",
    "PGUSER",
];

/// The directory of Postgres' programs, and their version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) directory: PathBuf,
    pub(crate) version: Version,
}

/// Postgres' version: `15.18`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) text: String,
}

impl Binaries {
    /// Finds the newest Postgres, or checks the one that is `configured`.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where there is none or where it is too old.
    pub(crate) async fn find(configured: Option<&Path>, host: &dyn Host) -> Result<Self, ProcessError> {
        let directory = match configured {
            Some(directory) => resolve(directory).ok_or_else(|| {
                let problem = format!("database.binaries: {} holds no Postgres server", directory.display());
                ProcessError::unusable(problem, INSTALL)
            })?,
            None => newest(&installed(), &search_path()).ok_or_else(|| {
                ProcessError::unusable("there is no Postgres server on this machine", INSTALL)
            })?,
        };
        let version = ask_version(&directory, host).await?;
        if version.major < MAJOR_MIN {
            let problem = format!("Postgres {} in {} is too old", version.text, directory.display());
            return Err(ProcessError::unusable(
                problem,
                format!("version {MAJOR_MIN} is needed at least; {INSTALL}"),
            ));
        }
        Ok(Self { directory, version })
    }

    /// A command of one of its programs, which follows our settings and not those of the user's own sessions.
    pub(crate) fn command(&self, program: &str) -> Command {
        Command::new(self.directory.join(program)).without(&LIBPQ)
    }
}

/// What a cluster needs. A client's package holds no server, and search paths may hold links to some of them only.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_basebackup", "pg_rewind"];

fn complete(directory: &Path) -> bool {
    PROGRAMS.iter().all(|program| directory.join(program).is_file())
}

/// The directory that holds all programs: this one, or the one to which its `postgres` is a link.
fn resolve(directory: &Path) -> Option<PathBuf> {
    let linked = std::fs::canonicalize(directory.join("postgres")).ok();
    let behind = linked.as_deref().and_then(Path::parent);
    [behind, Some(directory)].into_iter().flatten().find(|candidate| complete(candidate)).map(Path::to_owned)
}

/// Where distributions put several versions beside each other, with the version in the path.
const PLACES: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/opt/local/lib", "postgresql"),
];

fn installed() -> Vec<(u32, PathBuf)> {
    let mut found = Vec::new();
    for (directory, prefix) in PLACES {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let major = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
            let bin = entry.path().join("bin");
            if let Some(major) = major.filter(|_| complete(&bin)) {
                found.push((major, bin));
            }
        }
    }
    found
}

/// Where the system looks for programs. That is no configuration of ours, but the user's choice all the same.
fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// What the search path names was chosen by the user; else the newest.
fn newest(installed: &[(u32, PathBuf)], search_path: &[PathBuf]) -> Option<PathBuf> {
    let chosen = search_path.iter().find_map(|directory| resolve(directory));
    chosen.or_else(|| installed.iter().max_by_key(|(major, _)| *major).map(|(_, bin)| bin.clone()))
}

async fn ask_version(directory: &Path, host: &dyn Host) -> Result<Version, ProcessError> {
    let program = directory.join("postgres");
    let output = host.run(Command::new(&program).arg("--version")).await?;
    let version = Some(&output.text).filter(|_| output.success).and_then(|text| parse(text));
    version.ok_or_else(|| {
        let problem = format!("{} --version says `{}`", program.display(), output.text.trim());
        ProcessError::unusable(problem, INSTALL)
    })
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 17beta1`.
fn parse(text: &str) -> Option<Version> {
    let text = text.split_whitespace().skip_while(|word| !word.starts_with('(')).nth(1)?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some(Version { major: text[..digits].parse().ok()?, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_kinds_are_read() {
        let read = |text| parse(text).map(|version| (version.major, version.text));
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(read(debian), Some((15, "15.18".to_owned())));
        assert_eq!(read("postgres (PostgreSQL) 19beta1"), Some((19, "19beta1".to_owned())));
        assert_eq!(read("command not found"), None);
    }

    #[test]
    fn the_users_own_choice_goes_before_the_newest() {
        let chosen = tempfile::tempdir().unwrap();
        let installed = [(14, PathBuf::from("/14")), (16, PathBuf::from("/16")), (15, PathBuf::from("/15"))];
        let none = [chosen.path().to_owned()];
        assert_eq!(newest(&installed, &none), Some(PathBuf::from("/16")), "no server there");
        let (real, search) = (chosen.path().join("real"), [chosen.path().join("links")]);
        std::fs::create_dir(&real).unwrap();
        std::fs::create_dir(&search[0]).unwrap();
        for program in PROGRAMS {
            std::fs::write(real.join(program), "").unwrap();
        }
        std::os::unix::fs::symlink(real.join("postgres"), search[0].join("postgres")).unwrap();
        let found = newest(&installed, &search).unwrap();
        assert_eq!(found, std::fs::canonicalize(real).unwrap(), "the directory behind the link");
    }
}
