//! tokio-postgres without anything around it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

/// A connection whose errors show in the calls that meet them.
pub(super) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connect")?;
    tokio::spawn(connection);
    Ok(client)
}

/// The arguments of a job, as large as a click's.
pub(super) fn args() -> Value {
    json!({ "id": "0190f6a4-7c1e-7d0a-9d5b-3f1c2a4b5c6d", "code": "abcd1234", "referrer": null, "country": null })
}
