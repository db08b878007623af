//! A connection that a worker's loop keeps to itself, so that its fetches and settlements never stand in line
//! behind the transactions of its own handlers.

use crate::Error;
use onefold_database::{Connection, Database, Exclusive};

#[derive(Debug)]
pub(crate) struct Held {
    database: Database,
    connection: Option<Exclusive>,
}

impl Held {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, connection: None }
    }

    /// The connection, taken from the pool at first use and after a failure.
    pub(crate) async fn get(&mut self) -> Result<&Connection, Error> {
        if self.connection.as_ref().is_none_or(|connection| connection.is_closed()) {
            self.connection = None;
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.exclusive().await?,
        };
        Ok(&*self.connection.insert(connection))
    }

    /// Gives the connection up after an error: it may be broken, or lead to a server that is no primary any more.
    pub(crate) fn release(&mut self) {
        self.connection = None;
    }
}
