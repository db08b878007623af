//! How many links lead to a host: a total that a job keeps, so that `POST /links` need not wait for it.

use onefold::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) struct CountHost {
    pub(crate) host: String,
}

impl Job for CountHost {
    const KIND: &str = "count-host.v1";

    async fn run(self, cx: JobCx) -> Result {
        let Some(mut tx) = cx.once().await? else { return Ok(()) };
        tx.execute(
            "insert into hosts (host, links) values ($1, 1) on conflict (host) do update set links = hosts.links + 1",
            &[&self.host],
        )
        .await?;
        tx.commit().await
    }
}
