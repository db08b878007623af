//! Tries of a request, one after the other, until a node answers or nothing more may be tried.

use super::attempt::{self, Answer, Failure, Outgoing};
use super::exchange::Exchange;
use super::problem::Problem;
use super::request_body::Source;
use super::retry::{self, Case, Reason};
use crate::endpoint::Endpoint;
use crate::endpoint::roster::Probing;
use crate::lane::{Lane, Shared};
use onefold_core::retry::Backoff;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a request must be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The head of the response.
    pub(super) head: Instant,
    /// Its end.
    pub(super) end: Instant,
    /// Whether the client asked for one.
    pub(super) is_asked: bool,
    /// Whether what it asked for is shorter than ours.
    pub(super) is_client_deadline: bool,
}

/// Before an endpoint that has just failed is tried again, since there is no other.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(25), cap: Duration::from_millis(250) };

/// Gets a node's answer in time.
pub(super) async fn relay(exchange: &mut Exchange, outgoing: &mut Outgoing) -> Result<Answer, Problem> {
    let limit = outgoing.limit;
    let connection = exchange.connection.clone();
    let is_client_deadline = limit.is_client_deadline;
    let source = outgoing.source.clone();
    let mut alarm = connection.take_alarm(limit.head);
    let answered = {
        let mut work = pin!(tries(exchange, outgoing));
        let mut deadline = limit.head;
        loop {
            match alarm.bound(deadline, work.as_mut()).await {
                Ok(answered) => break Some(answered),
                Err(_) => match extended(&connection.lane.shared, limit, source.as_deref()) {
                    Some(later) => deadline = later,
                    None => break None,
                },
            }
        }
    };
    connection.put_alarm(alarm);
    answered.unwrap_or_else(|| Err(late(exchange, is_client_deadline)))
}

/// A later deadline, where the time went by waiting for a client that still sends: its stream sees to it that it
/// sends fast enough, and the node could not answer yet.
fn extended(shared: &Shared, limit: Limit, source: Option<&Source>) -> Option<Instant> {
    let now = shared.clock.now();
    let is_uploading = source.is_some_and(Source::is_awaited);
    let later = (now + shared.config.request_timeout).min(limit.end);
    (is_uploading && !limit.is_client_deadline && later > now).then_some(later)
}

/// Blames the node for an answer that did not come, unless the client still sends, or allowed less time than we do.
fn late(exchange: &Exchange, is_client_deadline: bool) -> Problem {
    let shared = &exchange.connection.lane.shared;
    let is_uploading = exchange.source.as_deref().is_some_and(Source::is_awaited);
    if let (Some(endpoint), false) = (&exchange.endpoint, is_client_deadline || is_uploading) {
        let (now, took) = (shared.clock.now(), shared.config.request_timeout);
        exchange.took(endpoint, took);
        exchange.within(|| shared.table.failed(endpoint, took, now));
    }
    Problem::Late
}

async fn tries(exchange: &mut Exchange, outgoing: &mut Outgoing) -> Result<Answer, Problem> {
    let lane = exchange.connection.lane.clone();
    lane.shared.budget.deposit(exchange.started);
    let mut tried: Vec<Arc<Endpoint>> = Vec::new();
    let mut retries = 0;
    let mut other = None;
    loop {
        let now = if tried.is_empty() { exchange.started } else { lane.shared.clock.now() };
        let endpoint = match other.take() {
            Some(other) => other,
            None => next(&lane, outgoing, &tried, retries, now).await?,
        };
        exchange.endpoint = Some(endpoint.clone());
        exchange.attempts = exchange.attempts.saturating_add(1);
        let span = exchange.try_span();
        let tried_once = attempt::run(exchange, &endpoint, outgoing, &span).await;
        attempt::tell(&tried_once, &span);
        drop(span);
        let failure = match tried_once {
            Ok(answer) if retry::is_draining(answer.response.status(), answer.response.headers()) => {
                if !may_retry(&lane, Reason::Draining, outgoing, retries) {
                    return Ok(answer);
                }
                Failure::Endpoint(Reason::Draining)
            }
            Ok(answer) if retry::is_refused(answer.response.status(), answer.response.headers()) => {
                tried.push(endpoint.clone());
                other = elsewhere(&lane, outgoing, &tried, exchange.retried_for, retries);
                if other.is_none() {
                    return Ok(answer);
                }
                tried.pop();
                // Rare, so it is boxed: the future of every request would be larger by it.
                Box::pin(answer.discard(&lane.shared.clock)).await;
                Failure::Endpoint(Reason::Refused)
            }
            Ok(answer) => return Ok(answer),
            Err(Failure::Endpoint(reason)) if !may_retry(&lane, reason, outgoing, retries) => {
                return Err(if reason.is_unsent() { Problem::Unreachable } else { Problem::Broken });
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Client(refusal) => return Err(Problem::Refused(refusal)),
            Failure::Late => return Err(Problem::Overloaded),
            // Not a retry, for nobody was asked to do anything yet; but each is asked for room only once.
            Failure::Full if tried.iter().any(|t| Arc::ptr_eq(t, &endpoint)) => {
                return Err(Problem::Overloaded);
            }
            Failure::Full => {}
            Failure::Endpoint(reason) => {
                retries += 1;
                exchange.retried(reason);
            }
        }
        tried.push(endpoint);
    }
}

async fn next(
    lane: &Lane,
    outgoing: &Outgoing,
    tried: &[Arc<Endpoint>],
    retries: u8,
    now: Instant,
) -> Result<Arc<Endpoint>, Problem> {
    let probing = if outgoing.is_idempotent { Probing::Willing } else { Probing::Reluctant };
    let endpoint = lane.choose(tried, probing, now).ok_or(Problem::NoEndpoint)?;
    if retries > 0 && tried.iter().any(|t| Arc::ptr_eq(t, &endpoint)) {
        let delay = BACKOFF.delay(u32::from(retries), &mut rand::rng());
        // Rare, so it is boxed: the future of every request would be larger by it.
        Box::pin(tokio::time::sleep(delay)).await;
    }
    Ok(endpoint)
}

/// Where a request goes that a full node has refused: to one that has not refused any a moment ago, and only once. Where
/// all are full there is nothing to be had, and asking would only add to it.
fn elsewhere(
    lane: &Lane,
    outgoing: &Outgoing,
    tried: &[Arc<Endpoint>],
    retried_for: Option<Reason>,
    retries: u8,
) -> Option<Arc<Endpoint>> {
    if retried_for == Some(Reason::Refused) {
        return None;
    }
    let now = lane.shared.clock.now();
    let other = lane.choose(tried, Probing::Reluctant, now)?;
    let is_new = !other.is_full(now) && !tried.iter().any(|tried| Arc::ptr_eq(tried, &other));
    (is_new && may_retry(lane, Reason::Refused, outgoing, retries)).then_some(other)
}

/// Whether a try that failed is followed by another; takes it out of the budget.
fn may_retry(lane: &Lane, reason: Reason, outgoing: &Outgoing, retries: u8) -> bool {
    let case = Case {
        is_idempotent: outgoing.is_idempotent,
        is_replayable: outgoing.is_replayable(),
        retries,
        retries_max: lane.shared.config.retries_max,
    };
    if !retry::may_retry(reason, case) {
        return false;
    }
    let granted = lane.shared.budget.withdraw(lane.shared.clock.now());
    if !granted {
        lane.shared.meters.retry_denied();
    }
    granted
}
