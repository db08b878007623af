//! The steps by which another server takes over from a primary that has fallen.

use super::choice::{Candidate, Found, choose};
use crate::local::cluster::Shared;
use crate::local::{settings, sql};
use futures_util::future::join_all;
use onefold_core::Lsn;
use onefold_core::process::ProcessError;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::types::PgLsn;

/// How long a replica that does not answer is waited for: one that died is back in a second, one that hangs is killed
/// after three and a half.
const ASK_MAX: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Has another server take over from `fallen`, of which nothing runs any more; or leaves it the primary, to be started
/// again. Returns when the one or the other is done.
///
/// Cancel safe: what was chosen stands in the file, and is carried out when its server is started.
pub(crate) async fn take_over(shared: &Shared, fallen: usize) {
    // A replica that dies waits for nobody: somebody may wait for its answer.
    if shared.roles.primary() != fallen {
        return;
    }
    let _turn = shared.turn.lock().await;
    if shared.roles.primary() != fallen {
        return;
    }
    let followers = shared.roles.followers();
    let asking = followers.into_iter().map(|server| async move {
        let found = tokio::time::timeout(ASK_MAX, until_done(|| cut_off(shared, server))).await;
        Candidate { server, found: found.map_or(Found::Unknown, Found::Holds) }
    });
    let candidates = join_all(asking).await;
    let preferred = shared.wanted.borrow().map(|wanted| wanted.to);
    if let Some(choice) = choose(&candidates, shared.roles.term().start, preferred) {
        match shared.roles.choose(choice) {
            Ok(()) => until_done(|| promote(shared, choice.server)).await,
            Err(error) => tracing::error!(%error, "nobody is promoted: the choice cannot be written"),
        }
    } else {
        tracing::warn!(?candidates, "nobody can take over for certain: the primary is started again");
    }
    lead_all(shared).await;
    shared.wanted.send_replace(None);
}

/// Ends a replica's stream for good, and answers what it has received. Nothing may come after the answer: it is given
/// only once the receiver has gone.
async fn cut_off(shared: &Shared, server: usize) -> Result<Lsn, ProcessError> {
    let work = async |client: Client| {
        client.batch_execute("alter system set primary_conninfo = ''").await?;
        client.batch_execute("select pg_reload_conf()").await?;
        loop {
            let row = client.query_one(sql::RECEIVED, &[]).await?;
            if row.try_get::<_, bool>("has_ended")? {
                return Ok(Lsn(row.try_get::<_, PgLsn>("lsn")?.into()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    shared.ask(server, work).await
}

/// Promotes the chosen server, if it is not the primary yet, and publishes it.
pub(crate) async fn promote(shared: &Shared, chosen: usize) -> Result<(), ProcessError> {
    let work = async |client: Client| {
        client.execute(sql::PROMOTE, &[]).await?;
        while client.query_one(sql::IS_STANDBY, &[]).await?.try_get(0)? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    shared.ask(chosen, work).await?;
    shared.roles.note_promoted()
}

/// Leads every other server that answers to the primary; one that does not is led there when it starts.
async fn lead_all(shared: &Shared) {
    let primary = shared.roles.primary();
    let others = (0..shared.plan.site.seats.len()).filter(|&server| server != primary);
    for led in join_all(others.map(|server| lead(shared, server))).await {
        if let Err(error) = led {
            tracing::debug!(%error, "a server is led to the primary when it answers");
        }
    }
}

/// Leads a replica that runs to the primary, if it is not led there yet.
pub(crate) async fn lead(shared: &Shared, server: usize) -> Result<(), ProcessError> {
    let conninfo = shared.lead(server);
    let text = format!("alter system set primary_conninfo = {}", settings::quoted(&conninfo));
    let work = async |client: Client| {
        let goes_elsewhere: bool = client.query_one(sql::GOES_ELSEWHERE, &[&conninfo]).await?.try_get(0)?;
        if goes_elsewhere {
            client.batch_execute(&text).await?;
            client.batch_execute("select pg_reload_conf()").await?;
        }
        Ok(())
    };
    shared.ask(server, work).await
}

async fn until_done<T, F>(mut work: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, ProcessError>>,
{
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) => tracing::debug!(%error, "tried again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
