//! What becomes of a request: refused, limited, or prepared and relayed; and the response for the client.

use super::attempt::{Answer, Outgoing};
use super::exchange::Exchange;
use super::identity::Identity;
use super::problem::Problem;
use super::relay::{self, Limit};
use super::request_body::Source;
use super::response_body::{Pause, Relayed, ResponseBody};
use super::{headers, retry, target};
use crate::alarm::Alarm;
use crate::hygiene::Refusal;
use crate::hygiene::strict::{Activity, REFUSED_METHOD};
use crate::lane::Lane;
use http::{HeaderMap, HeaderValue, Request, Response, request};
use http_body::Body as _;
use hyper::body::Incoming;
use onefold_core::deadline::parse_duration;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) lane: Arc<Lane>,
    pub(crate) peer: IpAddr,
    /// Whether what it says of other clients is believed.
    pub(crate) is_trusted: bool,
    /// Its address as `X-Forwarded-For` carries it.
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) activity: Arc<Activity>,
    /// The timer that its requests use, one after the other.
    pub(crate) alarm: Mutex<Option<Alarm>>,
}

impl Connection {
    pub(super) fn take_alarm(&self, at: Instant) -> Alarm {
        let taken = self.alarm.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| Alarm::new(at))
    }

    pub(super) fn put_alarm(&self, alarm: Alarm) {
        *self.alarm.lock().unwrap_or_else(PoisonError::into_inner) = Some(alarm);
    }
}

/// Answers one request. There is always an answer.
///
/// What is done before the first wait stands outside of the future, which is moved about with each request. It is not
/// polled within the request's span either: few requests tell anything on their way, and those that do enter it then
/// ([`Exchange::within`]).
pub(crate) fn answer(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    let (mut exchange, mut prepared) = begin(connection, request);
    async move {
        let answered = match &mut prepared {
            Ok(outgoing) => relay::relay(&mut exchange, outgoing).await,
            Err(problem) => Err(*problem),
        };
        Ok(match answered {
            Ok(answer) => respond(answer, exchange),
            Err(problem) => decline(problem, exchange),
        })
    }
}

fn begin(connection: Arc<Connection>, request: Request<Incoming>) -> (Exchange, Result<Outgoing, Problem>) {
    let (parts, body) = request.into_parts();
    let identity = Identity::of(&parts.headers);
    let mut exchange = Exchange::new(connection, identity, parts.method.clone(), &parts.uri);
    let prepared = prepare(&mut exchange, parts, body);
    (exchange, prepared)
}

fn prepare(exchange: &mut Exchange, mut parts: request::Parts, body: Incoming) -> Result<Outgoing, Problem> {
    if parts.method.as_str() == REFUSED_METHOD {
        return Err(Problem::Refused(refusal_of(parts.uri.path())));
    }
    let connection = &exchange.connection;
    let config = &connection.lane.shared.config;
    admit(connection, &parts.headers)?;
    if body.size_hint().lower() > config.body_bytes_max {
        return Err(Problem::Refused(Refusal::BodyTooLarge));
    }
    let limit = limit(exchange, &parts.headers)?;
    headers::strip_request(&mut parts.headers, connection);
    let is_idempotent = retry::is_idempotent(&parts.method, &parts.headers);
    exchange.source = Source::of(body, config.body_bytes_max, config.replay_bytes_max);
    Ok(Outgoing {
        is_idempotent,
        method: parts.method,
        target: target::origin_form(parts.uri),
        headers: parts.headers,
        source: exchange.source.clone(),
        limit,
    })
}

/// The refusal that a stand-in's target names.
fn refusal_of(path: &str) -> Refusal {
    let code = path.strip_prefix('/').and_then(|code| code.parse().ok());
    code.and_then(Refusal::of_code).unwrap_or(Refusal::RequestLine)
}

fn admit(connection: &Connection, headers: &HeaderMap) -> Result<(), Problem> {
    let clients = &connection.lane.shared.clients;
    if !clients.limits_rate() {
        return Ok(());
    }
    let behind =
        connection.is_trusted.then(|| headers::client_behind(headers, |a| clients.trusts(a))).flatten();
    clients.admit_request(behind.unwrap_or(connection.peer)).map_err(Problem::RateLimited)
}

fn limit(exchange: &Exchange, lines: &HeaderMap) -> Result<Limit, Problem> {
    let config = &exchange.connection.lane.shared.config;
    let asked = match lines.get(&headers::TIMEOUT_NAME) {
        None => None,
        Some(text) => {
            let parsed = text.to_str().ok().and_then(|text| parse_duration(text).ok());
            Some(parsed.ok_or(Problem::Timeout)?)
        }
    };
    let head = asked.unwrap_or(Duration::MAX).min(config.request_timeout);
    let end = asked.unwrap_or(Duration::MAX).min(config.exchange_timeout);
    if head.is_zero() {
        return Err(Problem::Late);
    }
    let is_client_deadline = asked.is_some_and(|asked| asked < config.request_timeout);
    Ok(Limit {
        head: exchange.started + head,
        end: exchange.started + end,
        is_asked: asked.is_some(),
        is_client_deadline,
    })
}

fn respond(answer: Answer, mut exchange: Exchange) -> Response<ResponseBody> {
    let (mut parts, incoming) = answer.response.into_parts();
    headers::prepare_response(&mut parts.headers);
    exchange.identity.write(&mut parts.headers);
    exchange.status = Some(parts.status);
    parts.version = http::Version::HTTP_11;
    parts.extensions = http::Extensions::new();
    let relayed = Relayed {
        incoming,
        lease: Some(answer.lease),
        in_flight: Some(answer.in_flight),
        at: answer.at,
        deadline: answer.deadline,
        pause: Pause::default(),
    };
    Response::from_parts(parts, ResponseBody::relayed(relayed, exchange))
}

fn decline(problem: Problem, mut exchange: Exchange) -> Response<ResponseBody> {
    let meters = &exchange.connection.lane.shared.meters;
    match problem {
        Problem::Refused(refusal) => {
            meters.refused(refusal);
            0
        }
        Problem::RateLimited(_) => meters.rate_limited.inc_by(1),
        Problem::Overloaded | Problem::NoEndpoint | Problem::Unreachable => meters.overloaded.inc_by(1),
        _ => 0,
    };
    let mut headers = HeaderMap::new();
    let body = problem.render(exchange.identity.trace, &mut headers);
    exchange.identity.write(&mut headers);
    exchange.status = Some(problem.status());
    exchange.error = problem.detail();
    let mut response = Response::new(ResponseBody::own(body, exchange));
    *response.status_mut() = problem.status();
    *response.headers_mut() = headers;
    response
}
