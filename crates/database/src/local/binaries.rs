//! Postgres' programs on this machine.

use onefold_core::process::{Command, Host, ProcessError};
use std::path::{Path, PathBuf};

/// The oldest version with what the cluster needs (`client_connection_check_interval`, pipelining without traps).
const MAJOR_MIN: u32 = 14;

const INSTALL: &str = "install it with `make up`, `apt-get install postgresql` or `brew install postgresql@17`, or \
                       set database.binaries to the directory that holds `initdb` and `postgres`";

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
            Some(directory) if complete(directory) => directory.to_owned(),
            Some(directory) => {
                let problem = format!("database.binaries: {} holds no Postgres server", directory.display());
                return Err(ProcessError::unusable(problem, INSTALL));
            }
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

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Both the server and `initdb` must be there: a client's package holds neither.
fn complete(directory: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|program| directory.join(program).is_file())
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
    let chosen = search_path.iter().find(|directory| complete(directory)).cloned();
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
        let search = [chosen.path().to_owned()];
        assert_eq!(newest(&installed, &search), Some(PathBuf::from("/16")), "no server there");
        for program in ["postgres", "initdb"] {
            std::fs::write(chosen.path().join(program), "").unwrap();
        }
        assert_eq!(newest(&installed, &search).as_deref(), Some(chosen.path()));
    }
}
