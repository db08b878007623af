//! `/api/faults`: what is broken on purpose, and what can be. Only the `up` that runs the system can do it, so it is asked.

use super::Desk;
use super::change::Who;
use crate::error::{Error, Kind, Result};
use crate::up::control::{self, Answer, Request};
use crate::up::report::{Ends, Report};
use axum::Json;
use axum::extract::{Path, State};
use onefold_chaos::{Fault, Wish};
use onefold_supervisor::{state, status};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Shown {
    /// Whether this system can be broken from here at all.
    enabled: bool,
    /// The edges that can be broken; none without `up --chaos`.
    edges: Vec<Ends>,
    faults: Vec<Fault>,
    past: Vec<Fault>,
}

/// What a change has come to.
#[derive(Serialize)]
pub(super) struct Changed {
    faults: Vec<Fault>,
}

pub(super) async fn list(State(desk): State<Desk>) -> Json<Shown> {
    let report = tokio::task::spawn_blocking(move || {
        let directory = desk.supervisor?;
        let up = status::read(&directory).ok()?.pid;
        Report::read(&directory, up)
    });
    let report = report.await.ok().flatten();
    let enabled = report.is_some();
    let Report { edges, faults, past, .. } = report.unwrap_or_default();
    Json(Shown { enabled, edges, faults, past })
}

pub(super) async fn inflict(
    State(desk): State<Desk>,
    who: Who,
    Json(wish): Json<Wish>,
) -> Result<Json<Changed>> {
    let wish = Wish { by: who.because(None)?.actor, ..wish };
    match ask(&desk, &Request::Inflict(wish)).await? {
        Answer::Inflicted(fault) => Ok(Json(Changed { faults: vec![*fault] })),
        other => Err(refusal(other)),
    }
}

pub(super) async fn heal(State(desk): State<Desk>, Path(id): Path<u32>) -> Result<Json<Changed>> {
    end(&desk, Some(id)).await
}

pub(super) async fn heal_all(State(desk): State<Desk>) -> Result<Json<Changed>> {
    end(&desk, None).await
}

async fn end(desk: &Desk, id: Option<u32>) -> Result<Json<Changed>> {
    match ask(desk, &Request::Heal { id }).await? {
        Answer::Healed(faults) => Ok(Json(Changed { faults })),
        Answer::Misused(detail) => Err(Error::new(Kind::NotFound, detail)),
        other => Err(refusal(other)),
    }
}

async fn ask(desk: &Desk, request: &Request) -> Result<Answer> {
    let elsewhere = || Error::conflict("`up` does not run this system: nothing here can break it".to_owned());
    let directory = desk.supervisor.as_deref().ok_or_else(elsewhere)?;
    let away = |error: &dyn std::fmt::Display| {
        Error::new(Kind::Unavailable, format!("the `up` that runs this system does not answer: {error}"))
    };
    let sockets = state::sockets(directory).map_err(|error| away(&error))?;
    control::ask(&sockets, request).await.map_err(|error| away(&error))
}

fn refusal(answer: Answer) -> Error {
    match answer {
        Answer::Misused(detail) => Error::invalid("fault", detail),
        Answer::Refused(detail) => Error::conflict(detail),
        other => Error::new(Kind::Internal, format!("`up` answers something else: {other:?}")),
    }
}
