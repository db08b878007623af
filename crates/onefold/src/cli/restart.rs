//! `restart`: one node, or all in turn, on the binary that was built since.

use super::exit::{Failure, complain};
use super::{Running, output};
use crate::up::control::{self, Answer, Request, Restarted, Step};
use clap::Args;
use onefold_core::NodeName;

#[derive(Args)]
pub(super) struct Arguments {
    /// The node to restart
    #[arg(value_name = "NAME", required_unless_present = "rolling", conflicts_with = "rolling")]
    node: Option<NodeName>,
    /// All nodes, one at a time: app nodes, workers, the observer, the balancer
    #[arg(long)]
    rolling: bool,
    #[command(flatten)]
    running: Running,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { node, rolling: _, running } = arguments;
    let status = onefold_supervisor::status::read(&running.state)?;
    let restarted = super::runtime()?.block_on(async {
        tokio::select! {
            restarted = ask(&running, node) => restarted,
            _ = tokio::signal::ctrl_c() => Err(Failure::Failed(format!(
                "no longer waiting; `up` (process {}) goes on with the restart, and tells of each node; `status` shows \
                 their builds",
                status.pid
            ))),
        }
    })?;
    let count = restarted.nodes.len();
    let nodes = if count == 1 { "node runs" } else { "nodes run" };
    output::outcome(format_args!("{count} {nodes} build {}", restarted.build), &restarted, running.json)
}

async fn ask(running: &Running, node: Option<NodeName>) -> Result<Restarted, Failure> {
    let sockets = onefold_supervisor::state::sockets(&running.state)?;
    let told = |step: Step| complain(&format!("{step}\n"));
    match control::ask_and_watch(&sockets, &Request::Restart { node }, told).await {
        Ok(Answer::Restarted(restarted)) => Ok(restarted),
        Ok(Answer::Refused(reason)) => Err(Failure::Failed(reason)),
        Ok(other) => Err(Failure::Failed(format!("an answer that this build does not expect: {other:?}"))),
        Err(error) => Err(Failure::Failed(format!(
            "the `up` on {} does not answer ({error}); look at its output and at `status`",
            running.state.display()
        ))),
    }
}
