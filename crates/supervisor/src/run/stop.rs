//! Stopping one process: asked first, killed with its tree when its grace is over.

use super::ties::Shared;
use crate::children::Child;
use crate::event::Event;
use nix::sys::signal::Signal;
use onefold_core::process::{Process, StopSignal};
use tokio_util::sync::CancellationToken;

/// Returns when the process has ended. Who cancels `hurry` ends its grace.
pub(crate) async fn stop(
    child: &mut Child,
    process: &dyn Process,
    shared: &Shared,
    hurry: &CancellationToken,
) {
    let stop = process.stop();
    let signal = match stop.signal {
        StopSignal::Terminate => Signal::SIGTERM,
        StopSignal::Interrupt => Signal::SIGINT,
    };
    shared.children.signal(child.pid(), signal).await;
    // A paused process hears no signal but this one.
    shared.children.signal(child.pid(), Signal::SIGCONT).await;
    tokio::select! {
        _ = child.exit() => return,
        () = tokio::time::sleep(stop.grace) => {
            shared.tell(Event::Killed { name: process.name().clone(), grace: stop.grace });
        }
        () = hurry.cancelled() => {}
    }
    shared.children.kill_tree(child.pid()).await;
    child.exit().await;
}
