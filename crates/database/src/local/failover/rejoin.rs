//! A server that was the primary becomes a replica of its successor.
//!
//! It may hold commits that nobody else has, which nobody was told were done: `pg_rewind` takes it back to where both
//! histories part. Where that fails its data makes way for a copy.

use crate::local::credentials::ADMINISTRATOR;
use crate::local::server::Server;
use crate::local::template::remove;
use crate::local::{birth, sql};
use onefold_core::process::{Host, Process as _, ProcessError};
use std::path::{Path, PathBuf};
use tokio_postgres::Client;

/// Makes the data directory one of a replica, or removes it where it cannot be.
///
/// # Errors
/// [`ProcessError::NotYet`] until the primary answers.
pub(crate) async fn rejoin(server: &Server, host: &dyn Host) -> Result<(), ProcessError> {
    let mark = mark(server);
    if mark.exists() {
        // A rewind that was broken off leaves neither history.
        remove(&server.data())?;
        return forget(&mark);
    }
    if server.data().join("standby.signal").exists() || !server.data().exists() {
        return Ok(());
    }
    checkpoint(server).await?;
    server.renew_slot().await?;
    birth::touch(&mark)?;
    match rewind(server, host).await? {
        Ok(()) => birth::touch(&server.data().join("standby.signal"))?,
        Err(reason) => {
            tracing::warn!(server.name = server.name().as_str(), "it is copied anew: {reason}");
            remove(&server.data())?;
        }
    }
    forget(&mark)
}

/// Stands while the data directory is between two histories.
fn mark(server: &Server) -> PathBuf {
    server.data().with_extension("rewinding")
}

fn forget(mark: &Path) -> Result<(), ProcessError> {
    std::fs::remove_file(mark).map_err(|error| ProcessError::file("remove", mark, &error))
}

/// `pg_rewind` finds the new timeline in the control file, where only a checkpoint writes it.
async fn checkpoint(server: &Server) -> Result<(), ProcessError> {
    let asked = server.ask_primary(async |client: Client| {
        let is_standby = client.query_one(sql::IS_STANDBY, &[]).await?.try_get::<_, bool>(0)?;
        if !is_standby {
            client.batch_execute("checkpoint").await?;
        }
        Ok(is_standby)
    });
    if asked.await? { Err(ProcessError::not_yet("its successor is not promoted yet")) } else { Ok(()) }
}

/// The inner error is the program's own complaint.
async fn rewind(server: &Server, host: &dyn Host) -> Result<Result<(), String>, ProcessError> {
    let shared = server.shared();
    let source = shared.way_to_primary(server.index(), ADMINISTRATOR);
    let command = shared
        .binaries
        .command("pg_rewind")
        .args(["--no-sync", "--source-server"])
        .arg(format!("{source} dbname=postgres"))
        .arg("--target-pgdata")
        .arg(server.data())
        .account(shared.plan.site.account.clone());
    let output = host.run(command).await?;
    Ok(if output.success { Ok(()) } else { Err(output.text.trim().to_owned()) })
}
