//! Reads whose rows come as a stream, on a connection of their own.

use super::Errand;
use crate::error::Error;
use crate::lane::{Exclusive, Remains};
use crate::servers::{Need, Role};
use tokio_postgres::RowStream;

impl Errand<'_> {
    /// Opens the rows as a stream, without a gate.
    pub(crate) async fn open(&self) -> Result<(RowStream, Exclusive), Error> {
        let deadline = self.session.deadline();
        let opening = async {
            let (need, _) = self.need();
            let server = match self.servers.ready(need, None, self.preferred.as_ref()) {
                Some(server) => server,
                None => self.servers.primary(deadline).await?.server,
            };
            let mut connection = server.slow_reads.acquire(self.servers.patience(deadline)).await?;
            let proven = server.state().replayed.for_connection(connection.born());
            let is_enough = server.state().role == Role::Primary
                || need == Need::Nothing
                || proven.is_some_and(|replayed| self.servers.fulfils(&server, need, replayed));
            if !is_enough {
                let primary = self.servers.primary(deadline).await?.server;
                connection = primary.slow_reads.acquire(self.servers.patience(deadline)).await?;
            }
            let statement = connection.prepare_cached(self.sql).await?;
            connection.leaves(Remains::Statement);
            let params = self.params.iter().copied();
            let rows = connection.query_raw(&statement, params).await?;
            Ok((rows, connection))
        };
        self.servers.within(deadline, opening).await
    }
}
