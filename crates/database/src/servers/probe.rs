//! Asks every server, ten times a second, what it is and what it has replayed.

use crate::connection::Connection;
use crate::connector::{Access, Lane};
use crate::error::Error;
use crate::servers::{Role, Server, Servers, pooler};
use crate::sql;
use onefold_core::{Lsn, TaskGroup};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::PgLsn;

/// However often it is woken: who writes in vain must not make it ask without end.
const EVERY_MIN: Duration = Duration::from_millis(5);
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
    let (mut pause, mut is_direct) = (RECONNECT_AFTER, false);
    loop {
        let error = match connect(server, &mut is_direct).await {
            Ok(connection) => {
                pause = RECONNECT_AFTER;
                let error = ask_until_lost(servers, server, &connection).await;
                if matches!(error, Error::Timeout) && others_answer(servers, server) {
                    // It hangs, and it is not this node: reads that wait there are tried again elsewhere.
                    server.connector.cut(Access::Read);
                }
                error
            }
            Err(error) => {
                pause = (pause * 2).min(RECONNECT_AFTER_MAX);
                error
            }
        };
        tracing::debug!(server.name = server.name.as_str(), "probe: {error}");
        let was_primary = server.lost(&error).role == Role::Primary;
        servers.reckon();
        if was_primary {
            // Another may take its place at any moment, or has.
            servers.ask_all();
        }
        rest(server, pause).await;
    }
}

/// A connection to ask on. At first it is found out whether there is a pooler: one is not put there later.
async fn connect(server: &Server, is_direct: &mut bool) -> Result<Connection, Error> {
    if !*is_direct && pooler::stands_before(&server.connector).await? {
        return Err(Error::Pooled);
    }
    *is_direct = true;
    server.connector.connect(Access::Read, Lane::Shared).await
}

/// Whether another server has just answered: what is silent is the server then, and not this node.
fn others_answer(servers: &Servers, not: &Server) -> bool {
    let now = servers.clock().now();
    let mut others = servers.all().iter().filter(|other| Arc::as_ptr(other) != ptr::from_ref(not));
    others.any(|other| {
        let state = other.state();
        let is_there = matches!(state.role, Role::Primary | Role::Replica);
        is_there && state.answered.is_some_and(|at| now.saturating_duration_since(at) < ANSWER_MAX / 2)
    })
}

async fn ask_until_lost(servers: &Servers, server: &Server, connection: &Connection) -> Error {
    loop {
        match tokio::time::timeout(ANSWER_MAX, ask(servers, server, connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return Error::Timeout,
        }
        rest(server, EVERY).await;
    }
}

/// Until it is time to ask again, or somebody wants to know now.
async fn rest(server: &Server, pause: Duration) {
    tokio::time::sleep(EVERY_MIN).await;
    let _ = tokio::time::timeout(pause.saturating_sub(EVERY_MIN), server.ask.notified()).await;
}

/// One question, and what follows from its answer.
async fn ask(servers: &Servers, server: &Server, connection: &Connection) -> Result<(), Error> {
    let (tick, asked) = (server.connector.tick(), servers.clock().now());
    let rows = connection.query_cached(sql::PROBE, &[]).await?;
    let answer = Answer::read(rows.first().ok_or(Error::NoRow)?)?;
    let role = servers.role_of(server, &answer);
    if server.connector.newest().is_some_and(|newest| newest.opened < tick && newest.start != answer.start) {
        // A younger connection leads to another server, and this one still lives.
        if role != Role::Replica {
            return Err(Error::Unavailable("server that this address led to"));
        }
        server.has_several();
    }
    server.answered(role, answer.timeline, answer.start, servers.clock().now());
    if role == Role::Replica {
        server.observe(answer.lsn, tick, connection.born());
    }
    servers.reckon();
    if servers.known_primary().is_some_and(|primary| Arc::as_ptr(&primary.server) == ptr::from_ref(server)) {
        let mut samples = servers.samples();
        if samples.newest(answer.timeline).is_none()
            && let Some(shown) = server.state().promoted
        {
            samples.promoted(shown, answer.timeline);
        }
        samples.note(asked, answer.timeline, answer.lsn);
    }
    Ok(())
}

/// What a server says of itself.
pub(crate) struct Answer {
    pub(crate) is_replica: bool,
    pub(crate) lsn: Lsn,
    pub(crate) timeline: u32,
    pub(crate) system: i64,
    /// When it was started, by its own clock: two servers are hardly ever started in the same microsecond.
    pub(crate) start: i64,
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
            start: row.try_get("start")?,
        })
    }
}
