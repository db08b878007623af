//! What a transaction asks of its connection, as values: the first of it may have to be sent a second time.

use crate::connection::{Connection, Params};
use tokio_postgres::{Error, Row, RowStream};

/// Something that can be sent, and sent again. A trait and not a closure: of a closure over a borrowed connection
/// the compiler cannot tell that its future is `Send`, in the handlers of those who use it.
pub(crate) trait Request: Sync {
    /// What comes back.
    type Answer: Send;

    /// Sends it when first polled.
    fn send(&self, connection: &Connection) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

/// All rows of a statement.
pub(crate) struct Rows<'a>(pub(crate) &'a str, pub(crate) Params<'a>);

/// The rows as they come.
pub(crate) struct Streamed<'a>(pub(crate) &'a str, pub(crate) Params<'a>);

/// How many rows it touched.
pub(crate) struct Touched<'a>(pub(crate) &'a str, pub(crate) Params<'a>);

/// A text without parameters or rows.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Request for Rows<'_> {
    type Answer = Vec<Row>;

    async fn send(&self, connection: &Connection) -> Result<Vec<Row>, Error> {
        connection.query_cached(self.0, self.1).await
    }
}

impl Request for Streamed<'_> {
    type Answer = RowStream;

    async fn send(&self, connection: &Connection) -> Result<RowStream, Error> {
        let statement = connection.prepare_cached(self.0).await?;
        connection.query_raw(&statement, self.1.iter().copied()).await
    }
}

impl Request for Touched<'_> {
    type Answer = u64;

    async fn send(&self, connection: &Connection) -> Result<u64, Error> {
        connection.execute_cached(self.0, self.1).await
    }
}

impl Request for Text<'_> {
    type Answer = ();

    async fn send(&self, connection: &Connection) -> Result<(), Error> {
        connection.batch_execute(self.0).await
    }
}
