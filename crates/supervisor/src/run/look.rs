//! Looking after a process that runs: its role may change, and its log grows.

use super::board::Line;
use super::ties::Shared;
use crate::event::Event;
use crate::log::Log;
use onefold_core::process::Process;
use std::convert::Infallible;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(2);
const ROLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks for the role and bounds the log, again and again.
pub(crate) async fn after(process: &dyn Process, line: &Line, log: &Log, shared: &Shared) -> Infallible {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = process.role_changes() => {}
        }
        if let Some((from, to)) = ask_role(process, line).await {
            shared.tell(Event::Role { name: process.name().clone(), from, to });
        }
        if let Err(error) = log.bound() {
            tracing::warn!(%error, log = %log.path().display(), "cannot bound the log");
        }
    }
}

/// Puts the role on the board. Answers the old and the new one if they differ; one that does not say in time is
/// what it was.
pub(crate) async fn ask_role(process: &dyn Process, line: &Line) -> Option<(String, String)> {
    let to = tokio::time::timeout(ROLE_TIMEOUT, process.role()).await.ok()?;
    let from = line.role();
    line.set(|line| line.role.clone_from(&to));
    (from != to).then_some((from, to))
}
