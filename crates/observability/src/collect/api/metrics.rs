//! `/api/metrics`: an expression's value now or at a time, or its values over a range.

use super::{Parameters, Problem, Reads};
use crate::collect::promql::{self, Range, Value, parse_duration_ms, seconds_to_millis};
use axum::Json;
use axum::extract::State;

/// Steps of a range whose step is not said: as many points as a small chart shows.
const STEPS: i64 = 250;
const STEP_MIN_MS: i64 = 1000;

/// What is asked.
enum Question {
    At(Option<i64>),
    Over(Range),
}

pub(super) async fn query(
    State(reads): State<Reads>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    parameters.only(&["query", "time", "start", "end", "step"])?;
    let missing = || Problem::parameter("query", "is missing: give an expression, such as up");
    let expression = parameters.text("query").ok_or_else(missing)?;
    let question = question(&parameters)?;
    let answer = reads
        .read(move |collector| {
            let samples = collector.samples();
            Ok(match question {
                Question::At(at_ms) => samples.query(&expression, at_ms),
                Question::Over(range) => samples.query_range(&expression, range),
            })
        })
        .await?;
    answer.map(Json).map_err(|error| problem(&error))
}

fn question(parameters: &Parameters) -> Result<Question, Problem> {
    let Some(start_ms) = millis(parameters, "start")? else {
        if let Some(name) = ["end", "step"].into_iter().find(|name| parameters.text(name).is_some()) {
            return Err(Problem::parameter(name, "needs a start too"));
        }
        return Ok(Question::At(millis(parameters, "time")?));
    };
    let missing = || Problem::parameter("end", "is missing: a start needs an end");
    let end_ms = millis(parameters, "end")?.ok_or_else(missing)?;
    if end_ms < start_ms {
        return Err(Problem::parameter("end", "lies before the start"));
    }
    let step_ms = match parameters.text("step") {
        None => ((end_ms - start_ms) / STEPS).max(STEP_MIN_MS),
        Some(text) => step(&text).ok_or_else(|| {
            Problem::parameter("step", format!("`{text:.64}` is no step above 0: write 15s, or seconds"))
        })?,
    };
    Ok(Question::Over(Range { start_ms, end_ms, step_ms }))
}

fn step(text: &str) -> Option<i64> {
    let seconds = || text.parse::<f64>().ok().and_then(seconds_to_millis);
    parse_duration_ms(text).or_else(seconds).filter(|step_ms| *step_ms > 0)
}

fn millis(parameters: &Parameters, name: &str) -> Result<Option<i64>, Problem> {
    let nanos = parameters.time(name)?;
    Ok(nanos.map(|nanos| i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)))
}

fn problem(error: &promql::Error) -> Problem {
    match error {
        promql::Error::Store(_) => {
            tracing::error!(%error, "the store cannot be read");
            Problem::unreadable()
        }
        _ => Problem::parameter("query", error.to_string()),
    }
}
