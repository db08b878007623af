//! A primary whose replicas are all gone: its commits wait for one to come back, or go on without, as the topology says.
//!
//! What is acknowledged while it is alone is on one server only. So that is written down before it begins and until a
//! replica has all of it: meanwhile nobody may take over.

use super::server::Server;
use super::sql;
use onefold_core::Lsn;
use onefold_core::process::ProcessError;
use std::convert::Infallible;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::types::PgLsn;

const PERIOD: Duration = Duration::from_secs(1);
/// Looks without a replica until it counts as alone: one that died is back sooner.
const LOOKS_ALONE: u32 = 5;
/// Looks from the setting's return until every commit obeys it.
const LOOKS_SETTLED: u32 = 3;

/// What one look at the primary finds.
struct Look {
    streaming: bool,
    flushed: Lsn,
    /// What the furthest replica shows.
    replayed: Lsn,
}

/// Looks after the primary as long as it runs.
pub(crate) async fn attend(server: &Server) -> Infallible {
    let (mut without, mut settling) = (0, Settling::default());
    loop {
        tokio::time::sleep(PERIOD).await;
        if !server.is_primary() {
            continue;
        }
        let Ok(look) = look(server).await else { continue };
        without = if look.streaming { 0 } else { without + 1 };
        let step = if server.shared().roles.term().alone {
            settling.step(server, &look).await
        } else if without >= LOOKS_ALONE {
            leave(server).await
        } else {
            Ok(())
        };
        if let Err(error) = step {
            tracing::warn!(%error, "whether commits wait for a replica cannot be changed now");
        }
    }
}

async fn look(server: &Server) -> Result<Look, ProcessError> {
    let work = async |client: Client| {
        let row = client.query_one(sql::COMPANY, &[]).await?;
        Ok(Look {
            streaming: row.try_get(0)?,
            flushed: Lsn(row.try_get::<_, PgLsn>(1)?.into()),
            replayed: Lsn(row.try_get::<_, PgLsn>(2)?.into()),
        })
    };
    server.ask_primary(work).await
}

/// Writes down that there is no replica; the next look lets commits go on without.
async fn leave(server: &Server) -> Result<(), ProcessError> {
    let shared = server.shared();
    let _turn = shared.turn.lock().await;
    if !server.is_primary() {
        return Ok(());
    }
    shared.roles.note_alone(true)?;
    tracing::warn!("no replica is left: commits go on, on one server only");
    Ok(())
}

/// The way back: commits wait again, and then a replica must have what was acknowledged until they did.
#[derive(Debug, Default)]
struct Settling {
    /// Whether commits go on without a replica, as far as was done here.
    is_free: bool,
    looks: u32,
    /// What must be on a replica.
    until: Option<Lsn>,
}

impl Settling {
    async fn step(&mut self, server: &Server, look: &Look) -> Result<(), ProcessError> {
        if !look.streaming {
            if !self.is_free {
                wait_for(server, sql::WAIT_FOR_NOBODY).await?;
                *self = Self { is_free: true, ..Self::default() };
            }
            return Ok(());
        }
        if self.looks == 0 {
            wait_for(server, sql::WAIT_FOR_ANY).await?;
            self.is_free = false;
        }
        self.looks += 1;
        if self.looks >= LOOKS_SETTLED && look.replayed >= *self.until.get_or_insert(look.flushed) {
            server.shared().roles.note_alone(false)?;
            tracing::info!("a replica has everything: commits are on two servers again");
            *self = Self::default();
        }
        Ok(())
    }
}

async fn wait_for(server: &Server, whom: &'static str) -> Result<(), ProcessError> {
    let work = async |client: Client| {
        client.batch_execute(whom).await?;
        client.batch_execute("select pg_reload_conf()").await
    };
    server.ask_primary(work).await
}
