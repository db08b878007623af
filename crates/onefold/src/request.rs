//! What surrounds a handler: the request's id, trace, deadline and session go in, and come out as headers.

mod answer;
mod claim;
mod head;
mod rejected;
pub(crate) mod stored;

pub(crate) use answer::as_problem;
pub(crate) use head::RequestContext;

use crate::app::ClientOf;
use crate::error::{Kind, problem};
use crate::node::Node;
use crate::overload::{Gate, Priority, refusal};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::HeaderValue;
use onefold_core::Deadline;
use onefold_core::metrics::Histogram;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tracing::Instrument as _;

/// What an app node needs to surround handlers.
pub(crate) struct Edge {
    pub(crate) node: Arc<Node>,
    pub(crate) client: ClientOf,
    pub(crate) gate: Arc<Gate>,
    /// What routes matter, by their patterns.
    pub(crate) priorities: HashMap<&'static str, Priority>,
    pub(crate) timeout: Duration,
    pub(crate) body_bytes_max: usize,
    /// `app-a;zone=a`, where responses may name the node.
    pub(crate) served_by: Option<HeaderValue>,
    pub(crate) routes: Routes,
}

/// Runs a handler in its request's trace, deadline and session.
pub(crate) async fn around(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let trace = head::trace(request.headers());
    let request_id = head::request_id(request.headers());
    let started = edge.node.clock.now();
    let timeout = head::timeout(request.headers(), edge.timeout);
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let priority = matched.as_ref().and_then(|route| edge.priorities.get(route.as_str()).copied());
    let mut pass = match edge.gate.enter(priority.unwrap_or_default(), timeout).await {
        Ok(pass) => pass,
        Err(reason) => {
            let mut response = trace.enter(|| refusal(reason));
            answer::complete(&mut response, &edge, &request_id, trace);
            return response;
        }
    };
    pass.serves(method.clone(), matched.clone());
    let deadline = Deadline::after(started, timeout);
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = trace.enter(|| {
        tracing::info_span!(
            "request",
            otel.name = %format_args!("{method} {route}"),
            otel.kind = "server",
            http.request.method = method.as_str(),
            http.route = route,
            http.response.status_code = tracing::field::Empty,
            onefold.request_id = request_id.to_str().unwrap_or_default(),
        )
    });
    let work = async {
        let remaining = deadline.remaining(edge.node.clock.now());
        let answering = edge.answer(request, next, &request_id, deadline);
        let mut response = tokio::time::timeout(remaining, answering).await.unwrap_or_else(|_| {
            problem(Kind::Timeout, Some("the deadline passed before the answer was there"))
        });
        answer::complete(&mut response, &edge, &request_id, trace);
        let status = response.status();
        let elapsed = edge.node.clock.now() - started;
        tracing::Span::current().record("http.response.status_code", status.as_u16());
        tracing::info!(duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), "answered");
        edge.routes
            .latency(&edge.node, method.as_str(), &route, status.as_u16())
            .observe(elapsed.as_secs_f64());
        pass.end(status);
        response
    };
    trace.scope(work.instrument(span)).await
}

impl Edge {
    /// Reads the head, and the body where its fingerprint is wanted.
    async fn prepare(
        &self,
        request: Request,
        request_id: &HeaderValue,
        deadline: Deadline,
    ) -> Result<(Request, RequestContext), Response> {
        let (mut parts, body) = request.into_parts();
        let asked = head::level(&parts.headers)
            .map_err(|invalid| problem(Kind::Malformed, Some(&format!("onefold-consistency: {invalid}"))))?;
        let client = (self.client)(&parts);
        let (claim, body) = claim::read(&parts, body, client.as_deref(), self.body_bytes_max).await?;
        let context = RequestContext {
            node: Arc::clone(&self.node),
            session: head::session(&parts.headers, &self.node.keys).with_deadline(deadline),
            asked,
            client: client.or_else(|| head::address(&parts)),
            request_id: head::uuid_of(request_id),
            claim,
        };
        parts.extensions.insert(context.clone());
        Ok((Request::from_parts(parts, body), context))
    }

    async fn answer(
        &self,
        request: Request,
        next: Next,
        request_id: &HeaderValue,
        deadline: Deadline,
    ) -> Response {
        let (request, context) = match self.prepare(request, request_id, deadline).await {
            Ok(prepared) => prepared,
            Err(response) => return response,
        };
        let carries_header = request.headers().contains_key(onefold_core::header::SESSION);
        // A handler's bug is this request's failure, and not that of a connection which a balancer would blame the
        // node for.
        let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await else {
            tracing::error!("the handler panicked");
            return problem(Kind::Internal, None);
        };
        let mut response = answer::as_problem(response).await;
        if let Some(token) = context.session.token() {
            answer::hand_out(&mut response, &self.node.keys.sign(&token), carries_header);
        }
        response
    }
}

/// Latency histograms by method, route and class of status: looked up without building labels.
#[derive(Default)]
pub(crate) struct Routes(RwLock<HashMap<String, [Option<Histogram>; 5]>>);

impl Routes {
    fn latency(&self, node: &Node, method: &str, route: &str, status: u16) -> Histogram {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        let key = format!("{method} {route}");
        let known = |routes: &HashMap<String, [Option<Histogram>; 5]>| routes.get(&key)?[class].clone();
        if let Some(histogram) = known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return histogram;
        }
        let histogram = node.metrics.latency(
            "onefold_app_request_seconds",
            "Time from a request's head to its answer's head.",
            &[("method", method), ("route", route), ("status", ["1xx", "2xx", "3xx", "4xx", "5xx"][class])],
        );
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        routes.entry(key).or_default()[class] = Some(histogram.clone());
        histogram
    }
}
