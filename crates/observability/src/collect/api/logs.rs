//! `/api/logs` and `/api/logs/tail`.

use super::{Parameters, Problem, Reads};
use crate::collect::json::read_trace;
use crate::collect::logs::{Level, Line, LogQuery, Page};
use axum::Json;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;
/// A silent tail is told apart from a broken one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LEVELS: &str = "one of trace, debug, info, warn, error, fatal";

pub(super) async fn list(State(reads): State<Reads>, parameters: Parameters) -> Result<Json<Page>, Problem> {
    parameters.only(&["trace_id", "q", "level", "node", "service", "start", "end", "before", "limit"])?;
    let any = LogQuery::default();
    let query = LogQuery {
        trace: parameters.text("trace_id").map(|id| trace(&id)).transpose()?,
        service: parameters.text("service"),
        node: parameters.text("node"),
        level: parameters.read("level", LEVELS)?,
        text: parameters.text("q"),
        start_ns: parameters.time("start")?.unwrap_or(any.start_ns),
        end_ns: parameters.time("end")?.unwrap_or(any.end_ns),
        before: parameters.read("before", "what an answer gave as `next`")?,
        limit: parameters.limit(LIMIT, LIMIT_MAX)?,
    };
    Ok(Json(reads.read(move |collector| collector.logs().search(&query)).await?))
}

fn trace(id: &str) -> Result<u128, Problem> {
    let detail = || format!("`{id:.64}` is no trace id: write 32 hexadecimal digits");
    read_trace(id).ok_or_else(|| Problem::parameter("trace_id", detail()))
}

/// What a follower wants to see.
struct Wanted {
    text: Option<String>,
    level: Option<Level>,
    node: Option<String>,
    service: Option<String>,
}

impl Wanted {
    fn fits(&self, line: &Line) -> bool {
        self.level.is_none_or(|level| line.level >= level)
            && self.node.as_ref().is_none_or(|node| line.node.as_ref() == Some(node))
            && self.service.as_ref().is_none_or(|service| line.service == *service)
            && self.text.as_ref().is_none_or(|text| line.says(text))
    }
}

pub(super) async fn tail(
    State(reads): State<Reads>,
    parameters: Parameters,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    parameters.only(&["q", "level", "node", "service"])?;
    let wanted = Wanted {
        text: parameters.text("q").map(|text| text.to_ascii_lowercase()),
        level: parameters.read("level", LEVELS)?,
        node: parameters.text("node"),
        service: parameters.text("service"),
    };
    let lines = reads.collector.logs().tail();
    let events = stream::unfold((lines, wanted), async |(mut lines, wanted)| {
        loop {
            let event = match lines.recv().await {
                Ok(line) if wanted.fits(&line) => Event::default().event("log").json_data(&*line),
                Ok(_) => continue,
                Err(RecvError::Lagged(count)) => {
                    Event::default().event("lost").json_data(serde_json::json!({ "count": count }))
                }
                Err(RecvError::Closed) => return None,
            };
            if let Ok(event) = event {
                return Some((Ok(event), (lines, wanted)));
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
