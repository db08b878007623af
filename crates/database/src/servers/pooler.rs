//! Finds out a transaction pooler, before anything of ours can leak into the connections that it lends to others.
//!
//! What a node keeps on a connection (prepared statements, settings, LISTEN, locks) would be found on another's, and not on
//! its own. Behind a pooler of sessions a connection is a connection.

use crate::connector::Connector;
use crate::error::Error;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Whether connections to this address are lent one backend after the other: two that are open at once have the same, or one
/// has two. A pooler lends the backend that was given back last, so that two which ask in turn get the same.
pub(super) async fn stands_before(connector: &Connector) -> Result<bool, Error> {
    let (one, other) = (connector.bare().await?, connector.bare().await?);
    let first = backend(&one).await?;
    Ok(backend(&other).await? == first || backend(&one).await? != first)
}

/// In the protocol that leaves nothing prepared.
async fn backend(client: &Client) -> Result<String, Error> {
    let answers = client.simple_query("select pg_backend_pid()").await?;
    let pid = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    pid.ok_or(Error::NoRow)
}
