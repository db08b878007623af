//! Asks every server, ten times a second, what it is and what it has replayed.

use crate::connection::Connection;
use crate::connector::{Access, Lane};
use crate::error::Error;
use crate::servers::{Role, Server, Servers};
use crate::session::Position;
use crate::sql;
use onefold_core::{Lsn, TaskGroup};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::PgLsn;

const EVERY: Duration = Duration::from_millis(100);
/// A server that has not answered by then is treated as gone.
const ANSWER_MAX: Duration = Duration::from_secs(1);
const RECONNECT_AFTER: Duration = Duration::from_millis(50);
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(1);

/// Starts a probe for each server.
pub(crate) fn watch_all(servers: &Arc<Servers>, tasks: &TaskGroup) {
    for server in servers.all() {
        let (servers, server, stopping) = (Arc::clone(servers), Arc::clone(server), tasks.stopping());
        tasks.spawn("database-probe", async move {
            stopping.run_until_cancelled(watch(&servers, &server)).await;
        });
    }
}

async fn watch(servers: &Servers, server: &Server) {
    let mut pause = RECONNECT_AFTER;
    loop {
        let error = match server.connector.connect(Access::Read, Lane::Shared).await {
            Ok(connection) => {
                pause = RECONNECT_AFTER;
                ask_until_lost(servers, server, &connection).await
            }
            Err(error) => {
                pause = (pause * 2).min(RECONNECT_AFTER_MAX);
                error
            }
        };
        tracing::debug!(server.name = server.name.as_str(), "probe: {error}");
        server.lost(&error);
        servers.reckon();
        let _ = tokio::time::timeout(pause, server.ask.notified()).await;
    }
}

async fn ask_until_lost(servers: &Servers, server: &Server, connection: &Connection) -> Error {
    loop {
        match tokio::time::timeout(ANSWER_MAX, ask(servers, server, connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return Error::Timeout,
        }
        let _ = tokio::time::timeout(EVERY, server.ask.notified()).await;
    }
}

/// One question, and what follows from its answer.
async fn ask(servers: &Servers, server: &Server, connection: &Connection) -> Result<(), Error> {
    let (tick, asked) = (server.connector.tick(), servers.clock().now());
    let rows = connection.query_cached(sql::PROBE, &[]).await?;
    let answer = Answer::read(rows.first().ok_or(Error::NoRow)?)?;
    let role = servers.role_of(&answer);
    let before = server.answered(role, answer.timeline, servers.clock().now());
    match role {
        Role::Primary => {
            let mut samples = servers.samples();
            // What it showed as a replica lay before its promotion.
            if before.role != Role::Primary && before.timeline != 0 && before.timeline < answer.timeline {
                samples.promoted(
                    Position { timeline: before.timeline, lsn: before.replayed.lsn },
                    answer.timeline,
                );
            }
            if servers.known_primary().is_none_or(|primary| primary.timeline <= answer.timeline) {
                samples.note(asked, answer.timeline, answer.lsn);
            }
        }
        Role::Replica => server.observe(answer.lsn, tick, connection.born()),
        Role::Unknown | Role::Stranger => {}
    }
    servers.reckon();
    Ok(())
}

/// What a server says of itself.
pub(crate) struct Answer {
    pub(crate) is_replica: bool,
    pub(crate) lsn: Lsn,
    pub(crate) timeline: u32,
    pub(crate) system: i64,
}

impl Answer {
    fn read(row: &Row) -> Result<Self, Error> {
        let lsn: Option<PgLsn> = row.try_get("lsn")?;
        let timeline: i32 = row.try_get("timeline")?;
        Ok(Self {
            is_replica: row.try_get("is_replica")?,
            lsn: lsn.map_or(Lsn::ZERO, |lsn| Lsn(lsn.into())),
            timeline: timeline.unsigned_abs(),
            system: row.try_get("system")?,
        })
    }
}
