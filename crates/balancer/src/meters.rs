//! The balancer's metrics: handles resolved once, so that a request only touches atomics.

use crate::hygiene::Refusal;
use crate::proxy::retry::Reason;
use http::StatusCode;
use onefold_core::metrics::{Counter, Gauge, Histogram, Metrics};
use std::time::Duration;

/// The handles that all threads share.
#[derive(Debug)]
pub(crate) struct Meters {
    requests: [Counter; CLASSES.len()],
    aborted: Counter,
    duration: Histogram,
    retries: Vec<Counter>,
    retries_denied: Counter,
    refusals: Vec<Counter>,
    pub(crate) overloaded: Counter,
    pub(crate) rate_limited: Counter,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) panicking: Gauge,
}

/// The handles of one endpoint.
#[derive(Debug)]
pub(crate) struct EndpointMeters {
    pub(crate) in_flight: Gauge,
    pub(crate) healthy: Gauge,
    pub(crate) latency: Gauge,
    pub(crate) ejections: Counter,
    pub(crate) failures: Counter,
    pub(crate) errors: Counter,
    pub(crate) refusals: Counter,
    pub(crate) seconds: Histogram,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |name, help, labels: &[(&str, &str)]| metrics.counter(name, help, labels);
        let requests = CLASSES.map(|class| {
            counter("onefold_balancer_requests", "Requests answered, by status class", &[("status", class)])
        });
        let retries = Reason::ALL.iter().map(|reason| {
            let help = "Tries after the first, by the reason for them";
            counter("onefold_balancer_retries", help, &[("reason", reason.as_str())])
        });
        let refusals = Refusal::ALL.iter().map(|refusal| {
            let help = "Requests refused for their form or size, by the refusal";
            counter("onefold_balancer_refusals", help, &[("refusal", refusal.name())])
        });
        Self {
            requests,
            aborted: counter("onefold_balancer_aborted", "Requests whose client or answer ended early", &[]),
            duration: metrics.latency(
                "onefold_balancer_request_seconds",
                "From the end of the request's head to the end of the response",
                &[],
            ),
            retries: retries.collect(),
            retries_denied: counter("onefold_balancer_retries_denied", "Retries without budget left", &[]),
            refusals: refusals.collect(),
            overloaded: counter("onefold_balancer_overloaded", "Requests answered 503 by the balancer", &[]),
            rate_limited: counter("onefold_balancer_rate_limited", "Requests answered 429", &[]),
            connections: metrics.gauge("onefold_balancer_connections", "Client connections", &[]),
            connections_refused: counter("onefold_balancer_connections_refused", "Clients over a limit", &[]),
            panicking: metrics.gauge("onefold_balancer_panic", "1 while health is ignored", &[]),
        }
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, status: StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.requests[class].inc();
        self.duration.observe(duration.as_secs_f64());
    }

    /// Counts a request whose exchange did not come to its end.
    pub(crate) fn aborted(&self) {
        self.aborted.inc();
    }

    /// Counts a retry.
    pub(crate) fn retried(&self, reason: Reason) {
        if let Some(counter) = self.retries.get(reason.index()) {
            counter.inc();
        }
    }

    /// Counts a retry that was due and not afforded.
    pub(crate) fn retry_denied(&self) {
        self.retries_denied.inc();
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some(counter) = self.refusals.get(usize::from(refusal.code())) {
            counter.inc();
        }
    }
}

impl EndpointMeters {
    pub(crate) fn new(metrics: &Metrics, name: &str) -> Self {
        let labels = &[("endpoint", name)];
        let gauge = |name, help| metrics.gauge(name, help, labels);
        Self {
            in_flight: gauge("onefold_balancer_endpoint_in_flight", "Requests in flight at the endpoint"),
            healthy: gauge("onefold_balancer_endpoint_healthy", "1 while requests go to the endpoint"),
            latency: gauge("onefold_balancer_endpoint_latency_seconds", "Its peak-EWMA latency"),
            ejections: metrics.counter("onefold_balancer_ejections", "Ejections of the endpoint", labels),
            failures: metrics.counter("onefold_balancer_endpoint_failures", "Failed tries", labels),
            refusals: metrics.counter(
                "onefold_balancer_endpoint_refusals",
                "Requests that the endpoint was too full to take",
                labels,
            ),
            errors: metrics.counter(
                "onefold_balancer_endpoint_errors",
                "Tries without an answer, or answered 5xx by a node that is not leaving",
                labels,
            ),
            seconds: metrics.latency(
                "onefold_balancer_endpoint_seconds",
                "From a try's start to the head of the endpoint's answer, or to its failure",
                labels,
            ),
        }
    }
}
