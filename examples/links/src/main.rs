//! Short links: the example application. Nothing here is plumbing; the platform is `onefold`.

mod clicks;
mod hosts;
mod link;
mod stats;

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::Utc;
use clicks::Click;
use hosts::CountHost;
use link::{Base, Code, Link, NewLink, NewTarget, Page, Target};
use onefold::prelude::*;
use std::time::Duration;

const LINK: Cached<str, Target> = Cached::new("link", Duration::from_mins(5));
const PREVIEW: Flag<bool> = Flag::new("preview-page", false);
const PAGE_LINKS_MAX: Setting<i64> =
    Setting::new("page-links-max", 100).range(1, 1000).describe("how many links a page of the list may hold");

fn main() -> std::process::ExitCode {
    App::new("links")
        .routes(
            Router::new()
                .route("/links", post(create).get(list))
                .route("/links/{code}", get(show).patch(update).delete(remove))
                .route("/links/{code}/stats", get(stats::stats))
                .route("/{code}", get(follow))
                .layer(allow(&[Read::Strong])),
        )
        .job::<Click>()
        .job::<CountHost>()
        .cron("purge-expired", "0 3 * * *", purge_expired)
        .setting(PAGE_LINKS_MAX)
        .migrations(migrations!["migrations/0001_links.sql"])
        .client(|parts| Some(parts.headers.get("x-client-id")?.to_str().ok()?.to_owned()))
        .run()
}

async fn create(db: Db, base: Base, Json(new): Json<NewLink>) -> Result<Response> {
    let new = new.checked()?;
    let mut tx = db.begin().await?;
    let link = insert(&mut tx, &new).await?;
    tx.invalidate(&LINK, &link.code); // somebody may have cached that this code is free
    tx.enqueue(CountHost { host: new.host }).await?;
    tx.reply((StatusCode::CREATED, Json(base.show(link)))).await
}

async fn insert(tx: &mut Tx, new: &link::Checked) -> Result<Link> {
    const SQL: &str = "insert into links (code, url, expires_at) values ($1, $2, now() + make_interval(secs => $3)) \
         on conflict (code) do nothing returning *";
    for _ in 0..5 {
        let code = new.code.clone().unwrap_or_else(Code::random);
        match tx.query_opt(SQL, &[&code.as_str(), &new.url, &new.expires_in_seconds]).await? {
            Some(link) => return Ok(link),
            None if new.code.is_some() => return Err(Error::conflict(format!("the code `{code}` is taken"))),
            None => {} // a collision of random codes: draw again
        }
    }
    Err(Error::conflict("no free code was found; try again"))
}

async fn follow(
    cache: Cache,
    jobs: Jobs,
    flags: Flags,
    request: RequestId,
    headers: HeaderMap,
    Path(code): Path<Code>,
) -> Result<Response> {
    let target = cache
        .get_or(&LINK, code.as_str(), async |db| {
            db.query_opt("select url, expires_at from links where code = $1", &[&code.as_str()]).await
        })
        .await?
        .ok_or(Error::not_found())?;
    if target.expires_at.is_some_and(|at| at <= Utc::now()) {
        return Err(Error::gone());
    }
    jobs.enqueue_buffered(Click::of(request.id(), &code, &headers));
    Ok(if flags.get(&PREVIEW) {
        Html(link::preview(&target.url)).into_response()
    } else {
        (StatusCode::FOUND, Redirect::to(&target.url)).into_response()
    })
}

async fn show(db: Db, base: Base, Path(code): Path<Code>) -> Result<Response> {
    const SQL: &str = "select * from links where code = $1";
    let link: Link = db.read(Read::YourWrites).query_one(SQL, &[&code.as_str()]).await?;
    Ok(Json(base.show(link)).into_response())
}

async fn update(db: Db, base: Base, Path(code): Path<Code>, Json(new): Json<NewTarget>) -> Result<Response> {
    const SQL: &str = "update links set url = $2 where code = $1 returning *";
    let url = new.checked()?;
    let mut tx = db.begin().await?;
    let link: Link = tx.query_one(SQL, &[&code.as_str(), &url]).await?;
    tx.invalidate(&LINK, &link.code);
    tx.reply(Json(base.show(link))).await
}

async fn remove(db: Db, Path(code): Path<Code>) -> Result<Response> {
    let mut tx = db.begin().await?;
    if tx.execute("delete from links where code = $1", &[&code.as_str()]).await? == 0 {
        return Err(Error::not_found());
    }
    tx.invalidate(&LINK, code.as_str());
    tx.reply(StatusCode::NO_CONTENT).await
}

async fn list(db: Db, settings: Settings, base: Base, Query(page): Query<Page>) -> Result<Response> {
    const SQL: &str = "select * from links \
         where $1::bigint is null or id < $1 order by id desc limit $2";
    let (after, limit) = page.checked(settings.get(&PAGE_LINKS_MAX))?;
    let rows: Vec<Link> = db.read(Read::YourWrites).query(SQL, &[&after, &limit]).await?;
    Ok(Json(base.show_page(rows, limit)).into_response())
}

async fn purge_expired(cx: JobCx) -> Result {
    let Some(lock) = cx.locks.try_lock("purge-expired", Duration::from_mins(1)).await? else {
        return Ok(());
    };
    let Some(mut tx) = cx.once().await? else { return Ok(()) };
    tx.fence(&lock).await?;
    let gone: Vec<String> = tx
        .query("delete from links where expires_at < now() - interval '30 days' returning code", &[])
        .await?;
    for code in &gone {
        tx.invalidate(&LINK, code);
    }
    tx.commit().await
}
