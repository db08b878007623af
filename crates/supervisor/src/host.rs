//! Short commands that a process needs for its preparation: run as children, so that they die with us too.

use crate::children::Children;
use onefold_core::process::{BoxFuture, Command, Host, Output, ProcessError};
use std::io::{self, Read as _};

/// What is kept of a command's output.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

impl Host for Children {
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>> {
        Box::pin(async move {
            let program = command.program.display().to_string();
            output(self, command).await.map_err(|error| {
                ProcessError::unusable(format!("cannot run {program}: {error}"), "check that it is installed")
            })
        })
    }
}

async fn output(children: &Children, command: Command) -> io::Result<Output> {
    let (reader, writer) = io::pipe()?;
    let mut child = children.spawn_into(command, writer.into()).await?;
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
