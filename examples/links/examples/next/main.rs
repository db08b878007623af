//! The next build of short links, as far as a test of two builds side by side needs it: one more migration, a job of a
//! kind that the build before does not know, and another layout of a value that both keep in the cache.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use onefold::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The same name and key as in the build before.
const LINK: Cached<str, Target> = Cached::new("link", Duration::from_mins(5));

fn main() -> std::process::ExitCode {
    App::new("links")
        .routes(Router::new().route("/notes", post(note)).route("/{code}", get(follow)))
        .job::<Note>()
        .migrations(migrations!["migrations/0001_links.sql", "examples/next/0002_notes.sql"])
        .run()
}

/// What this build makes of a row, in fewer fields and another order.
#[derive(Clone, Serialize, Deserialize, FromRow)]
struct Target {
    code: String,
    url: String,
}

async fn follow(cache: Cache, Path(code): Path<String>) -> Result<Response> {
    const SQL: &str = "select code, url from links where code = $1";
    let target = cache.get_or(&LINK, code.as_str(), async |db| db.query_opt(SQL, &[&code]).await);
    let target: Target = target.await?.ok_or(Error::not_found())?;
    Ok((StatusCode::FOUND, Redirect::to(&target.url)).into_response())
}

/// A job that takes as long as it is told to in its first attempt, and says that it began.
#[derive(Serialize, Deserialize)]
struct Note {
    first_attempt_s: u64,
}

impl Job for Note {
    const KIND: &str = "note.v1";

    async fn run(self, cx: JobCx) -> Result {
        const BEGUN: &str = "insert into notes_begun (id, attempt) select $1, count(*) + 1 from notes_begun where id = $1 \
             returning attempt";
        let mut tx = cx.db.begin().await?;
        let attempt: i32 = tx.query_one(BEGUN, &[&cx.id()]).await?;
        tx.commit().await?;
        if attempt == 1 {
            tokio::time::sleep(Duration::from_secs(self.first_attempt_s)).await;
        }
        let Some(mut tx) = cx.once().await? else { return Ok(()) };
        tx.execute("insert into notes (id, attempt) values ($1, $2)", &[&cx.id(), &attempt]).await?;
        tx.commit().await
    }
}

async fn note(db: Db, Query(note): Query<Note>) -> Result<Response> {
    let mut tx = db.begin().await?;
    tx.enqueue(note).await?;
    tx.reply((StatusCode::CREATED, Json("noted"))).await
}
