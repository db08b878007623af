//! The read part of Prometheus' HTTP API, so that Grafana and others can use the observer as a data source: the same
//! paths, parameters, answers and errors, by GET and by POST of a form.

mod answer;
mod form;
pub(super) mod rules;

use crate::collect::promql::{self, Labels, Query, Range, Value};
use crate::collect::samples::{Description, Exemplar, Samples};
use answer::{Answer, Refusal};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use form::Form;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Queries at once: each may hold its samples in memory, and a core.
const QUERIES_MAX: usize = 4;
/// Series in one answer of a list.
const LISTED_MAX: usize = 20_000;

/// What the handlers share.
#[derive(Clone)]
struct Reads {
    samples: Samples,
    places: Arc<Semaphore>,
}

impl Reads {
    /// Reads apart from the connections, a few at once.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Samples) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Answer<T>, Refusal> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Refusal::stopped())?;
        let samples = self.samples.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = read(&samples);
            drop(place);
            answer
        });
        answer.await.map_err(|_| Refusal::stopped())?.map(Answer)
    }
}

pub(super) fn router(samples: &Samples) -> Router {
    let reads = Reads { samples: samples.clone(), places: Arc::new(Semaphore::new(QUERIES_MAX)) };
    Router::new()
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/query_exemplars", get(query_exemplars).post(query_exemplars))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/status/buildinfo", get(build))
        .with_state(reads)
}

async fn query(State(reads): State<Reads>, form: Form) -> Result<Answer<Value>, Refusal> {
    let expression = form.needed("query")?.to_owned();
    let at_ms = form.time("time")?;
    reads.read(move |samples| Ok(samples.query(&expression, at_ms)?)).await
}

async fn query_range(State(reads): State<Reads>, form: Form) -> Result<Answer<Value>, Refusal> {
    let expression = form.needed("query")?.to_owned();
    let missing = |name| move || Refusal::parameter(name, "is missing");
    let range = Range {
        start_ms: form.time("start")?.ok_or_else(missing("start"))?,
        end_ms: form.time("end")?.ok_or_else(missing("end"))?,
        step_ms: form.step()?,
    };
    reads.read(move |samples| Ok(samples.query_range(&expression, range)?)).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SeriesExemplars {
    series_labels: Labels,
    exemplars: Vec<Exemplar>,
}

async fn query_exemplars(
    State(reads): State<Reads>,
    form: Form,
) -> Result<Answer<Vec<SeriesExemplars>>, Refusal> {
    let selectors = Query::parse(form.needed("query")?)?.selectors();
    let (start_ms, end_ms) = (form.time("start")?.unwrap_or(i64::MIN), form.time("end")?.unwrap_or(i64::MAX));
    let read = move |samples: &Samples| {
        let found = samples.exemplars(&selectors, start_ms, end_ms).into_iter();
        Ok(found.map(|(series_labels, exemplars)| SeriesExemplars { series_labels, exemplars }).collect())
    };
    reads.read(read).await
}

async fn labels(State(reads): State<Reads>, form: Form) -> Result<Answer<BTreeSet<String>>, Refusal> {
    let (selectors, start_ms) = (form.selectors()?, form.time("start")?.unwrap_or(i64::MIN));
    reads.read(move |samples| Ok(samples.label_names(&selectors, start_ms))).await
}

async fn label_values(
    State(reads): State<Reads>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Answer<BTreeSet<String>>, Refusal> {
    if !promql::is_label_name(&name) {
        return Err(Refusal::parameter("name", format!("{name:?} is no name of a label")));
    }
    let (selectors, start_ms) = (form.selectors()?, form.time("start")?.unwrap_or(i64::MIN));
    reads.read(move |samples| Ok(samples.label_values(&name, &selectors, start_ms))).await
}

async fn series(State(reads): State<Reads>, form: Form) -> Result<Answer<Vec<Labels>>, Refusal> {
    let (selectors, start_ms) = (form.selectors()?, form.time("start")?.unwrap_or(i64::MIN));
    if selectors.is_empty() {
        return Err(Refusal::parameter("match[]", "is missing"));
    }
    let limit = form.limit()?.unwrap_or(LISTED_MAX).min(LISTED_MAX);
    reads
        .read(move |samples| Ok(samples.series(&selectors, start_ms).into_iter().take(limit).collect()))
        .await
}

async fn metadata(
    State(reads): State<Reads>,
    form: Form,
) -> Result<Answer<BTreeMap<String, [Description; 1]>>, Refusal> {
    let (wanted, limit) = (form.text("metric").map(str::to_owned), form.limit()?.unwrap_or(LISTED_MAX));
    let read = move |samples: &Samples| {
        let all = samples.descriptions().into_iter();
        let wanted = all.filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted == name));
        Ok(wanted.take(limit).map(|(name, description)| (name, [description])).collect())
    };
    reads.read(read).await
}

/// The version is that of Prometheus whose API this follows: clients choose their requests by it.
async fn build() -> Answer<serde_json::Value> {
    let mut build = super::build("2.42.0");
    build["application"] = "onefold".into();
    Answer(build)
}

#[cfg(test)]
mod tests;
