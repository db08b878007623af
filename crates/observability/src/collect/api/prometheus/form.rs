//! Parameters of a request, from its query and, where it is a form, from its body.

use super::Refusal;
use crate::collect::promql::{Matcher, Query, parse_duration_ms, seconds_to_millis};
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use chrono::DateTime;

/// Bodies of forms: a long expression, many selectors.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Names and values in their order.
pub(super) struct Form(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let mut pairs = parsed(request.uri().query().unwrap_or_default().as_bytes());
        if request.method() == Method::POST {
            let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
                return Err(Refusal::parameter("body", "is no form: send application/x-www-form-urlencoded"));
            }
            let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await;
            let body = body.map_err(|_| {
                Refusal::parameter("body", format!("is cut, or above {BODY_BYTES_MAX} bytes"))
            })?;
            pairs.extend(parsed(&body));
        }
        Ok(Self(pairs))
    }
}

fn parsed(form: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(form).into_owned().collect()
}

impl Form {
    /// An empty value counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, value)| other == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// All values of this name.
    pub(super) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::parameter(name, "is missing"))
    }

    /// A time in milliseconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let seconds = text.parse::<f64>().ok().and_then(seconds_to_millis);
        let date = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
        seconds.or_else(date).map(Some).ok_or_else(|| {
            let problem =
                format!("cannot parse {text:?} to a valid timestamp: write seconds, or 2026-01-31T12:00:00Z");
            Refusal::parameter(name, problem)
        })
    }

    /// The step of a range, in milliseconds.
    pub(super) fn step(&self) -> Result<i64, Refusal> {
        let text = self.needed("step")?;
        let seconds = || text.parse::<f64>().ok().and_then(seconds_to_millis);
        match parse_duration_ms(text).or_else(seconds) {
            Some(step_ms) if step_ms > 0 => Ok(step_ms),
            Some(_) => Err(Refusal::parameter(
                "step",
                "zero or negative query resolution step widths are not accepted",
            )),
            None => Err(Refusal::parameter(
                "step",
                format!("cannot parse {text:?} to a valid duration: write 15s, or seconds"),
            )),
        }
    }

    pub(super) fn limit(&self) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.text("limit") else { return Ok(None) };
        let limit: usize = text.parse().map_err(|_| Refusal::parameter("limit", "is no whole number"))?;
        // In Prometheus' API, 0 and no limit are the same.
        Ok((limit > 0).then_some(limit))
    }

    /// The selectors of `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, Refusal> {
        let texts = self.0.iter().filter(|(name, _)| name == "match[]");
        let read = |(_, text): &(String, String)| {
            let query = Query::parse(text).map_err(|error| Refusal::parameter("match[]", error))?;
            query
                .selector()
                .ok_or_else(|| Refusal::parameter("match[]", "is no selector such as up{job=\"links\"}"))
        };
        texts.map(read).collect()
    }
}
