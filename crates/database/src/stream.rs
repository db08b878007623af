//! Rows as they come, for results that are too large to hold.

use crate::error::Error;
use crate::lane::{Exclusive, Remains};
use crate::row::FromRow;
use futures_util::{Stream, StreamExt as _};
use tokio_postgres::RowStream;

/// A stream that keeps its connection until the last row; dropped before, it is cancelled.
pub(crate) fn owned<T: FromRow>(
    rows: RowStream,
    connection: Exclusive,
) -> impl Stream<Item = Result<T, Error>> + Send + use<T> {
    futures_util::stream::unfold(Some((Box::pin(rows), connection)), async |held| {
        let (mut rows, mut connection) = held?;
        match rows.next().await {
            Some(Ok(row)) => Some((T::from_row(&row), Some((rows, connection)))),
            Some(Err(error)) => Some((Err(error.into()), None)),
            None => {
                connection.leaves(Remains::Nothing);
                None
            }
        }
    })
}
