//! The beginning of a transaction: BEGIN travels with its first statement, in one flight.
//!
//! A statement behind a BEGIN that failed (a cancel that came late, a server that is no primary any more) must not
//! run as a transaction of its own. So pooled connections rest read-only, and only this BEGIN opens them to
//! writes: what stands behind one that failed can write nothing.

use crate::connection::Connection;
use crate::error::{self, Error};
use crate::lane::Exclusive;
use crate::request::Request;
use crate::servers::{Primary, Servers};
use futures_util::future::join;
use onefold_core::Deadline;
use tokio_postgres::error::SqlState;

/// Opens a transaction that may write, on a connection that rests read-only.
pub(crate) const BEGIN: &str = "begin read write";

/// A connection to the primary on which nothing is begun. While the primary moves it waits for the next one, within the
/// deadline.
pub(crate) async fn acquire(
    servers: &Servers,
    deadline: Option<Deadline>,
) -> Result<(Exclusive, Primary), Error> {
    let began = servers.clock().now();
    let patience = servers.patience(deadline);
    loop {
        let waited = servers.clock().now().saturating_duration_since(began);
        let left = patience.saturating_sub(waited);
        let primary = servers.primary_within(left).await?;
        match primary.server.transactions.acquire(left).await {
            Ok(connection) => return Ok((connection, primary)),
            Err(error) => {
                let error = servers.failed(&primary.server, error);
                if !is_worth_another(&error) {
                    return Err(error);
                }
                tracing::debug!(
                    server.name = primary.server.name.as_str(),
                    "the primary is sought anew: {error}"
                );
            }
        }
    }
}

/// Sends `prelude`, which begins the transaction, and the first statement right behind it.
pub(crate) async fn fly<R: Request>(
    servers: &Servers,
    primary: &Primary,
    connection: &Connection,
    prelude: &str,
    first: &R,
) -> Result<R::Answer, Error> {
    // Each is sent when first polled, and `join` polls in order.
    let (begun, answered) = join(connection.batch_execute(prelude), first.send(connection)).await;
    begun.map_err(|error| not_begun(servers, primary, error))?;
    answered.map_err(|error| refused(servers, primary, connection, error))
}

/// A statement of a transaction failed.
pub(crate) fn refused(
    servers: &Servers,
    primary: &Primary,
    connection: &Connection,
    error: tokio_postgres::Error,
) -> Error {
    // The next transaction on this connection prepares anew; this one is lost.
    if error::is_outdated_plan(&error) {
        connection.forget_statements();
    }
    servers.failed(&primary.server, error)
}

/// Whether the first flight failed in a way that another server, or another connection, may not. Nothing of it was
/// committed, so that another try is safe.
pub(crate) fn is_worth_another(error: &Error) -> bool {
    match error {
        Error::Unavailable(_) => true,
        Error::Database(error) => error::is_gone(error),
        _ => false,
    }
}

fn not_begun(servers: &Servers, primary: &Primary, error: tokio_postgres::Error) -> Error {
    // A standby's words for a transaction that wants to write.
    if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
        servers.suspect(&primary.server);
        return Error::Unavailable("primary");
    }
    servers.failed(&primary.server, error)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use crate::error::Error;
    use crate::testing::TestPostgres;
    use crate::tx::begin;
    use crate::{Config, Database, Read, Session};
    use onefold_core::metrics::Metrics;
    use onefold_core::{Clock, Secret, TaskGroup};

    #[tokio::test]
    async fn what_stands_behind_a_begin_that_failed_writes_nothing() {
        let server = TestPostgres::start().await;
        server.client().await.batch_execute("create table item (id int)").await.unwrap();
        let tasks = TaskGroup::new();
        let config = Config { url: Some(Secret::new(server.url())), ..Config::default() };
        let (node, zone) = ("app-a".parse().unwrap(), "a".parse().unwrap());
        let database =
            Database::connect(&config, &node, &zone, &tasks, &Metrics::new(), Clock::system()).await.unwrap();
        database.migrate(&[]).await.unwrap();
        let db = database.db(Session::new());
        let as_on_a_standby = "do $$ begin raise feature_not_supported; end $$; begin read write";
        for (prelude, code) in [("select 1/0; begin read write", "22012"), (as_on_a_standby, "no primary")] {
            let mut tx = begin(&db, prelude).await.unwrap();
            let error = tx.execute("insert into item values (1)", &[]).await.unwrap_err();
            assert!(error.to_string().contains(code), "{error}");
            assert!(matches!(tx.commit().await, Err(Error::Aborted)));
        }
        let written: i64 = db.read(Read::Strong).query_one("select count(*) from item", &[]).await.unwrap();
        assert_eq!(written, 0);
        tasks.stopping().cancel();
    }
}
