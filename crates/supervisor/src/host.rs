//! What a process needs for its preparation: short commands, run as children so that they die with us too, and
//! private files.

use crate::children::Children;
use crate::error::Error;
use crate::state::private;
use onefold_core::Secret;
use onefold_core::process::{Account, BoxFuture, Command, Host, Output, ProcessError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is kept of a command's output.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Where servers stand that are not on every account's search path.
const SERVER_PATHS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
const PASSWORD_BYTES: usize = 24;

impl Host for Children {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>> {
        Box::pin(async move {
            let program = command.program.display().to_string();
            output(self, command).await.map_err(|error| {
                ProcessError::unusable(format!("cannot run {program}: {error}"), "check that it is installed")
            })
        })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = std::env::split_paths(&path).chain(SERVER_PATHS.iter().map(PathBuf::from));
        directories.map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
    }

    fn directory(&self, path: &Path, account: Option<&Account>) -> Result<(), ProcessError> {
        private::directory(path, account).map_err(|error| match error {
            Error::State { path, problem, fix } => {
                ProcessError::unusable(format!("{} {problem}", path.display()), fix)
            }
            other => ProcessError::unusable(other.to_string(), "name another state directory with --state"),
        })
    }

    fn write(&self, path: &Path, text: &str, account: Option<&Account>) -> Result<(), ProcessError> {
        private::replace_for(path, text.as_bytes(), account)
            .map_err(|error| ProcessError::file("write", path, &error))
    }

    fn password(&self, path: &Path, account: Option<&Account>) -> Result<Secret, ProcessError> {
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ProcessError::file("read", path, &error));
            }
            _ => {}
        }
        let secret = Secret::random(PASSWORD_BYTES).map_err(|error| {
            let problem = format!("the system has no randomness: {error}");
            ProcessError::unusable(problem, "make /dev/urandom readable")
        })?;
        self.write(path, &format!("{}\n", secret.expose()), account)?;
        Ok(secret)
    }
}

async fn output(children: &Children, command: Command) -> io::Result<Output> {
    let (reader, writer) = io::pipe()?;
    let mut child = children.spawn(command, writer.into(), Arc::default()).await?;
    let text = tokio::task::spawn_blocking(move || read_end(reader)).await??;
    let exit = child.exit().await;
    Ok(Output { success: exit.is_success(), text })
}

/// Reads all and keeps the end.
fn read_end(mut reader: io::PipeReader) -> io::Result<String> {
    let (mut kept, mut chunk) = (Vec::new(), [0_u8; 8192]);
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        kept.extend_from_slice(&chunk[..read]);
        kept.drain(..kept.len().saturating_sub(OUTPUT_BYTES_MAX));
    }
}
