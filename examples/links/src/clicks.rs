//! A click: recorded by a job, once, however often it is delivered.

use crate::link::{Code, text};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use onefold::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const TEXT_BYTES_MAX: usize = 200;

#[derive(Serialize, Deserialize)]
pub(crate) struct Click {
    id: Uuid,
    code: String,
    at: DateTime<Utc>,
    referrer: Option<String>,
    country: Option<String>,
}

impl Click {
    /// `id` is the request's, so that a retried request is one click.
    pub(crate) fn of(id: Uuid, code: &Code, headers: &HeaderMap) -> Self {
        let short =
            |name| text(headers, name).filter(|value| value.len() <= TEXT_BYTES_MAX).map(str::to_owned);
        Self {
            id,
            code: code.as_str().to_owned(),
            at: Utc::now(),
            referrer: short("referer"),
            country: short("cf-ipcountry"),
        }
    }
}

impl Job for Click {
    const KIND: &str = "click.v1";
    const ATTEMPTS: u32 = 8;

    async fn run(self, cx: JobCx) -> Result {
        let Some(mut tx) = cx.once().await? else { return Ok(()) };
        tx.execute(
            "insert into clicks (id, code, at, referrer, country) values ($1, $2, $3, $4, $5) on conflict do nothing",
            &[&self.id, &self.code, &self.at, &self.referrer, &self.country],
        )
        .await?;
        tx.commit().await
    }
}
