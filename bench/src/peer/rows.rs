//! The store that one would write first: a row for each span in SQLite, with indexes for lookup and search.

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Segment, State};
use axum::routing::{get, post};
use onefold_observability::otlp::trace::{Span, TracesData};
use prost::Message as _;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;
    CREATE TABLE span (trace BLOB, id BLOB, parent BLOB, name TEXT, kind INTEGER, start INTEGER, duration INTEGER,
        status INTEGER, message TEXT, service TEXT, node TEXT, attributes TEXT);
    CREATE INDEX span_trace ON span (trace);
    CREATE INDEX span_start ON span (start);
    CREATE INDEX span_name ON span (name, start);";
const INSERT: &str = "INSERT INTO span VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const COMMIT_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone)]
struct Rows {
    sender: SyncSender<TracesData>,
    stored: Arc<AtomicU64>,
    file: PathBuf,
}

/// Serves until the process is killed.
pub(crate) async fn serve(otlp: u16, file: &Path) -> Result<()> {
    let connection = Connection::open(file).context("open a file")?;
    connection.execute_batch(SCHEMA).context("make a table")?;
    let (sender, receiver) = sync_channel(64);
    let rows = Rows { sender, stored: Arc::default(), file: file.to_owned() };
    let stored = Arc::clone(&rows.stored);
    std::thread::spawn(move || write(&receiver, connection, &stored));
    let router = Router::new()
        .route("/v1/traces", post(take))
        .route(
            "/count",
            get(|State(rows): State<Rows>| async move { rows.stored.load(Ordering::Relaxed).to_string() }),
        )
        .route("/trace/{id}", get(lookup))
        .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
        .with_state(rows);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", otlp)).await.context("listen")?;
    axum::serve(listener, router).await.context("serve")
}

async fn take(State(rows): State<Rows>, body: Bytes) -> Result<(), axum::http::StatusCode> {
    let data = TracesData::decode(body).map_err(|_| axum::http::StatusCode::BAD_REQUEST)?;
    rows.sender.try_send(data).map_err(|_| axum::http::StatusCode::TOO_MANY_REQUESTS)
}

async fn lookup(State(rows): State<Rows>, Segment(id): Segment<String>) -> String {
    let found = || -> Result<String> {
        let connection = Connection::open(&rows.file)?;
        let id = u128::from_str_radix(&id, 16)?.to_be_bytes();
        let mut select =
            connection.prepare("SELECT name, start, duration, attributes FROM span WHERE trace = ?1")?;
        let spans = select.query_map([id], |row| {
            Ok(format!(
                "{} {} {} {}",
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, String>(3)?
            ))
        })?;
        Ok(spans.collect::<Result<Vec<_>, _>>()?.join("\n"))
    };
    found().unwrap_or_default()
}

fn write(receiver: &Receiver<TracesData>, mut connection: Connection, stored: &AtomicU64) {
    while let Ok(first) = receiver.recv() {
        let begun = Instant::now();
        let mut next = Some(first);
        let mut count = 0;
        let mut window = || -> Result<()> {
            let transaction = connection.transaction()?;
            while let Some(data) = next.take() {
                count += insert(&transaction, &data)?;
                let rest = COMMIT_EVERY.saturating_sub(begun.elapsed());
                next = if rest.is_zero() { None } else { receiver.recv_timeout(rest).ok() };
            }
            Ok(transaction.commit()?)
        };
        if let Err(error) = window() {
            eprintln!("rows: {error:#}");
        }
        stored.fetch_add(count, Ordering::Relaxed);
    }
}

fn insert(connection: &Connection, data: &TracesData) -> Result<u64> {
    let mut insert = connection.prepare_cached(INSERT)?;
    let mut count = 0;
    for resource in &data.resource_spans {
        let of = |key: &str| {
            let attributes = resource.resource.iter().flat_map(|resource| &resource.attributes);
            attributes
                .filter(|pair| pair.key == key)
                .find_map(|pair| Some(format!("{:?}", pair.value.as_ref()?.value)))
        };
        let (service, node) = (of("service.name"), of("service.instance.id"));
        for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let status = span.status.clone().unwrap_or_default();
            let start = span.start_time_unix_nano.cast_signed();
            let duration = (span.end_time_unix_nano - span.start_time_unix_nano).cast_signed();
            insert.execute(params![
                span.trace_id,
                span.span_id,
                span.parent_span_id,
                span.name,
                span.kind,
                start,
                duration,
                status.code,
                status.message,
                service,
                node,
                attributes(span)
            ])?;
            count += 1;
        }
    }
    Ok(count)
}

fn attributes(span: &Span) -> String {
    use onefold_observability::otlp::common::any_value::Value;
    let mut object = serde_json::Map::new();
    for pair in &span.attributes {
        let value = match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.as_str().into(),
            Some(Value::IntValue(number)) => (*number).into(),
            _ => serde_json::Value::Null,
        };
        object.insert(pair.key.clone(), value);
    }
    serde_json::Value::Object(object).to_string()
}
