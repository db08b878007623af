//! What an engine's servers need for their preparation, in the place of the supervisor.

use onefold_core::Secret;
use onefold_core::process::{Account, BoxFuture, Command, Host as Hosting, Output, ProcessError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const SERVER_PATHS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
const PASSWORD_BYTES: usize = 24;

/// This machine, for directories that end with the benchmark.
pub(super) struct Host;

impl Hosting for Host {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>> {
        let output = std::process::Command::new(&command.program).args(&command.arguments).output();
        let output = output.map_err(|error| ProcessError::file("run", &command.program, &error));
        let said = output.map(|output| {
            let text = [output.stdout, output.stderr].concat();
            Output { success: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
        });
        Box::pin(std::future::ready(said))
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        SERVER_PATHS.iter().map(|path| Path::new(path).join(program)).find(|path| path.is_file())
    }

    fn directory(&self, path: &Path, _account: Option<&Account>) -> Result<(), ProcessError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| ProcessError::file("make", path, &error))
    }

    fn write(&self, path: &Path, text: &str, _account: Option<&Account>) -> Result<(), ProcessError> {
        let opened =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| ProcessError::file("write", path, &error))
    }

    fn password(&self, path: &Path, account: Option<&Account>) -> Result<Secret, ProcessError> {
        if let Ok(text) = std::fs::read_to_string(path) {
            return Ok(Secret::new(text.trim()));
        }
        let secret = Secret::random(PASSWORD_BYTES).map_err(|error| {
            ProcessError::unusable(
                format!("the system has no randomness: {error}"),
                "make /dev/urandom readable",
            )
        })?;
        self.write(path, secret.expose(), account)?;
        Ok(secret)
    }
}
