//! The record of one request. It is dropped exactly once, at the end of the response or wherever the request is
//! given up, and then counted and logged: no path is forgotten.

use super::identity::Identity;
use super::request_body::Source;
use super::retry::Reason;
use super::service::Connection;
use crate::endpoint::Endpoint;
use crate::hygiene::strict::REFUSED_METHOD;
use http::{Method, StatusCode, Uri};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::Span;

/// One request, from the end of its head on.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) connection: Arc<Connection>,
    pub(super) started: Instant,
    pub(super) identity: Identity,
    pub(super) method: Method,
    /// What a log line names; `None` where nobody listens.
    pub(super) target: Option<Uri>,
    pub(super) status: Option<StatusCode>,
    /// The last that was tried.
    pub(super) endpoint: Option<Arc<Endpoint>>,
    pub(super) attempts: u8,
    pub(super) retried_for: Option<Reason>,
    /// Where the try before the last one failed.
    pub(super) retried_from: Option<Arc<Endpoint>>,
    /// What went wrong, in a few words.
    pub(super) error: &'static str,
    pub(super) source: Option<Arc<Source>>,
    pub(super) response_bytes: u64,
    pub(super) is_complete: bool,
    pub(super) span: Span,
}

impl Exchange {
    pub(super) fn new(connection: Arc<Connection>, identity: Identity, method: Method, target: &Uri) -> Self {
        connection.activity.is_busy.store(true, Ordering::Relaxed);
        let span = identity.trace.enter(|| {
            tracing::info_span!(
                parent: None,
                "request",
                otel.name = method_name(&method),
                otel.kind = "server",
                http.request.method = method_name(&method),
                url.path = target.path(),
                http.response.status_code = tracing::field::Empty,
                onefold.endpoint = tracing::field::Empty,
                onefold.attempts = tracing::field::Empty,
                error.type = tracing::field::Empty,
            )
        });
        let is_logged = connection.lane.shared.config.access_log
            && tracing::enabled!(target: "onefold_balancer::access", tracing::Level::INFO);
        Self {
            started: connection.lane.shared.clock.now(),
            target: is_logged.then(|| target.clone()),
            connection,
            identity,
            method,
            status: None,
            endpoint: None,
            attempts: 0,
            retried_for: None,
            retried_from: None,
            error: "",
            source: None,
            response_bytes: 0,
            is_complete: false,
            span,
        }
    }

    /// The span of the try that begins: what this request does at one node. Mostly the first try is the only one, and
    /// the request's own span says all of it: then only a trace that is recorded in full has both.
    pub(super) fn try_span(&self) -> Span {
        if self.attempts <= 1 && !self.identity.trace.is_sampled() {
            return Span::none();
        }
        tracing::info_span!(
            parent: &self.span,
            "try",
            otel.name = method_name(&self.method),
            otel.kind = "client",
            http.request.method = method_name(&self.method),
            http.response.status_code = tracing::field::Empty,
            onefold.endpoint = self.endpoint_name(),
            onefold.attempt = self.attempts,
            onefold.retry.reason = self.retried_for.map(Reason::as_str),
            onefold.retry.endpoint = self.retried_from.as_deref().map(name_of),
            error.type = tracing::field::Empty,
        )
    }

    /// Notes a retry in span, log and metric.
    pub(super) fn retried(&mut self, reason: Reason) {
        self.retried_for = Some(reason);
        self.retried_from.clone_from(&self.endpoint);
        self.connection.lane.shared.meters.retried(reason);
        let endpoint = self.endpoint_name();
        self.identity.trace.enter(|| {
            tracing::debug!(
                parent: &self.span,
                onefold.retry.reason = reason.as_str(),
                onefold.endpoint = endpoint,
                onefold.attempts = self.attempts,
                "retry"
            );
        });
    }

    /// Runs what may tell something, in the request's trace and span.
    pub(super) fn within<R>(&self, act: impl FnOnce() -> R) -> R {
        self.identity.trace.enter(|| self.span.in_scope(act))
    }

    /// Counts what a try took; in a trace that is recorded in full, as its exemplar.
    pub(super) fn took(&self, endpoint: &Endpoint, duration: Duration) {
        let observe = || endpoint.meters.seconds.observe(duration.as_secs_f64());
        // Most are not, and nothing is entered for them.
        if self.identity.trace.is_sampled() { self.identity.trace.enter(observe) } else { observe() }
    }

    fn endpoint_name(&self) -> &str {
        self.endpoint.as_deref().map_or("", name_of)
    }

    fn log(&self, duration: Duration) {
        let Some(target) = &self.target else { return };
        let connection = &self.connection;
        self.identity.trace.enter(|| {
            tracing::event!(
                target: "onefold_balancer::access",
                parent: &self.span,
                tracing::Level::INFO,
                http.request.method = method_name(&self.method),
                url.path = target.path(),
                http.response.status_code = self.status.map_or(0, |status| status.as_u16()),
                duration_seconds = duration.as_secs_f64(),
                client.address = %connection.peer,
                onefold.endpoint = self.endpoint_name(),
                onefold.attempts = self.attempts,
                onefold.retry.reason = self.retried_for.map_or("", Reason::as_str),
                http.request.body.size = self.source.as_ref().map_or(0, |source| source.bytes()),
                http.response.body.size = self.response_bytes,
                "error.type" = self.error,
                onefold.complete = self.is_complete,
                onefold.request_id = self.identity.request_id(),
                "request"
            );
        });
    }
}

fn name_of(endpoint: &Endpoint) -> &str {
    endpoint.member.name.as_str()
}

/// The method as OpenTelemetry wants it: what stands in for a refused request has none.
fn method_name(method: &Method) -> &str {
    match method.as_str() {
        REFUSED_METHOD => "_OTHER",
        method => method,
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let shared = &self.connection.lane.shared;
        self.connection.activity.is_busy.store(false, Ordering::Relaxed);
        let duration = shared.clock.now().saturating_duration_since(self.started);
        match self.status {
            Some(status) if self.is_complete => {
                // In the trace, which becomes the duration's exemplar.
                self.identity.trace.enter(|| shared.meters.answered(status, duration));
            }
            _ => shared.meters.aborted(),
        }
        if !self.span.is_disabled() {
            self.span.record("http.response.status_code", self.status.map_or(0, |status| status.as_u16()));
            self.span.record("onefold.endpoint", self.endpoint_name());
            self.span.record("onefold.attempts", self.attempts);
            if !self.error.is_empty() && self.status.is_none_or(|status| status.is_server_error()) {
                self.span.record("error.type", self.error);
            }
        }
        self.log(duration);
    }
}
