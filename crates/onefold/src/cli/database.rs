//! `database`: its servers, and a planned change of the primary.

use super::exit::Failure;
use super::reach::{self, Reach};
use super::{Target, output, table};
use crate::App;
use crate::up::control::{self, Answer, Request};
use clap::{Args, Subcommand};
use onefold_core::{Lsn, NodeName, Zone};
use onefold_database::{ServerRole, ServerStatus};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// How long servers that are silent are waited for.
const SILENCE_MAX: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Action {
    /// Every server: its role, timeline, position and lag
    Status,
    /// Make another server the primary; where `up` runs the database, and without losing a write
    Switchover {
        /// Which; by default the replica that is furthest
        #[arg(long, value_name = "NAME")]
        to: Option<NodeName>,
    },
}

/// One server, as a person reads it.
#[derive(Serialize)]
struct Row {
    name: NodeName,
    role: ServerRole,
    zone: Option<Zone>,
    address: String,
    timeline: u32,
    lsn: Lsn,
    lag_ms: Option<u64>,
    trouble: Option<String>,
}

pub(super) fn run(app: &App, arguments: Arguments) -> Result<(), Failure> {
    let Target { place, json } = arguments.target;
    match arguments.action {
        Action::Status => {
            let servers = reach::with_or_without_primary(app, &place, status)?;
            if json { output::json(&servers) } else { table::print_rows(&servers) }
        }
        Action::Switchover { to } => {
            let primary = super::runtime()?.block_on(switchover(&place.state, to))?;
            output::outcome(format_args!("{primary} is the primary"), &primary, json)
        }
    }
}

async fn status(reach: Reach) -> Result<Vec<Row>, Failure> {
    let is_known = |server: &ServerStatus| server.role != ServerRole::Unreachable || server.trouble.is_some();
    let known = async {
        while !reach.database.servers().iter().all(is_known) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    // One that stays silent is shown as it is.
    let _ = tokio::time::timeout(SILENCE_MAX, known).await;
    Ok(reach.database.servers().into_iter().map(row).collect())
}

fn row(server: ServerStatus) -> Row {
    Row {
        lag_ms: server.lag.and_then(|lag| u64::try_from(lag.as_millis()).ok()),
        name: server.name,
        role: server.role,
        zone: server.zone,
        address: server.address,
        timeline: server.timeline,
        lsn: server.lsn,
        trouble: server.trouble,
    }
}

async fn switchover(state: &Path, to: Option<NodeName>) -> Result<NodeName, Failure> {
    let sockets = onefold_supervisor::state::sockets(state)?;
    match control::ask(&sockets, &Request::Switchover { to }).await {
        Ok(Answer::Done(primary)) => Ok(primary),
        Ok(Answer::Refused(reason)) => Err(Failure::Failed(reason)),
        Ok(other) => Err(Failure::Failed(format!("an answer that this build does not expect: {other:?}"))),
        Err(error) => Err(Failure::Failed(format!(
            "the `up` on {} does not answer ({error}); look at its output and at `status`",
            state.display()
        ))),
    }
}
