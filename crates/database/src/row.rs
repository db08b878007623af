//! From rows to values: scalars, tuples, and what `#[derive(FromRow)]` makes of structs.

use crate::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, Json};

/// A value that one row of a result is read into.
///
/// Scalars take the first column, tuples the columns in order, derived structs the columns of their fields'
/// names. For scalars by macro: a blanket impl over `FromSql` would bar tuples.
pub trait FromRow: Sized + Send {
    /// Reads the row.
    ///
    /// # Errors
    /// [`Error::Database`] where a column is missing or of another type.
    fn from_row(row: &Row) -> Result<Self, Error>;
}

macro_rules! scalar {
    ($($type:ty),* $(,)?) => {$(
        impl FromRow for $type {
            fn from_row(row: &Row) -> Result<Self, Error> {
                Ok(row.try_get(0)?)
            }
        }

        impl FromRow for Option<$type> {
            fn from_row(row: &Row) -> Result<Self, Error> {
                Ok(row.try_get(0)?)
            }
        }
    )*};
}

scalar!(
    bool,
    i8,
    i16,
    i32,
    i64,
    u32,
    f32,
    f64,
    String,
    Vec<u8>,
    Vec<bool>,
    Vec<i16>,
    Vec<i32>,
    Vec<i64>,
    Vec<f64>,
    Vec<String>,
    Vec<uuid::Uuid>,
    uuid::Uuid,
    serde_json::Value,
    chrono::DateTime<chrono::Utc>,
    chrono::NaiveDateTime,
    chrono::NaiveDate,
    chrono::NaiveTime,
    std::time::SystemTime,
    std::net::IpAddr,
);

impl<T: serde::de::DeserializeOwned + Send> FromRow for Json<T> {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(row.try_get(0)?)
    }
}

macro_rules! tuple {
    ($($name:ident $index:literal),+) => {
        impl<$($name: FromSqlOwned + Send),+> FromRow for ($($name,)+) {
            fn from_row(row: &Row) -> Result<Self, Error> {
                Ok(($(row.try_get($index)?,)+))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// All rows, read into values.
pub(crate) fn all<T: FromRow>(rows: &[Row]) -> Result<Vec<T>, Error> {
    rows.iter().map(T::from_row).collect()
}

/// The only row, if there is one.
pub(crate) fn at_most_one<T: FromRow>(rows: &[Row]) -> Result<Option<T>, Error> {
    match rows {
        [] => Ok(None),
        [row] => T::from_row(row).map(Some),
        _ => Err(Error::ManyRows),
    }
}

/// The one row.
pub(crate) fn exactly_one<T: FromRow>(rows: &[Row]) -> Result<T, Error> {
    at_most_one(rows)?.ok_or(Error::NoRow)
}
