//! A collector for tests: a real gRPC server that keeps what it is sent.

use crate::otlp::common::{KeyValue, any_value::Value};
use crate::otlp::logs::{LogRecord, LogsData};
use crate::otlp::metrics::{Metric, MetricsData};
use crate::otlp::trace::{Span, TracesData};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use onefold_core::{Deadline, TaskGroup};
use prost::Message as _;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(Clone, Debug, Default)]
pub(super) struct Collector(Arc<Mutex<Got>>);

#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) traces: Vec<TracesData>,
    pub(super) logs: Vec<LogsData>,
    pub(super) metrics: Vec<MetricsData>,
    /// What the newest message was shown with.
    pub(super) authorization: Option<HeaderValue>,
    /// The gRPC status of the next answers.
    pub(super) status: u32,
}

impl Collector {
    /// Serves on a port of its own; answers its address.
    pub(super) async fn start(tasks: &TaskGroup) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self::serve(listener, tasks), format!("http://{address}"))
    }

    pub(super) fn serve(listener: TcpListener, tasks: &TaskGroup) -> Self {
        Self::serve_through(listener, None, tasks)
    }

    /// The same, through TLS where there is an acceptor.
    pub(super) fn serve_through(listener: TcpListener, tls: Option<TlsAcceptor>, tasks: &TaskGroup) -> Self {
        let (collector, connections) = (Self::default(), tasks.clone());
        let serving = collector.clone();
        tasks.spawn("collector", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (collector, tls) = (serving.clone(), tls.clone());
                connections.spawn("collector-connection", async move {
                    let Some(tls) = tls else { return collector.serve_one(stream).await };
                    if let Ok(inside) = tls.accept(stream).await {
                        collector.serve_one(inside).await;
                    }
                });
            }
        });
        collector
    }

    async fn serve_one<S: AsyncRead + AsyncWrite + Unpin + 'static>(self, stream: S) {
        let service = service_fn(move |request| self.clone().take(request));
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn take(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
        assert_eq!(request.headers()["content-type"], "application/grpc");
        let path = request.uri().path().to_owned();
        let authorization = request.headers().get("authorization").cloned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let message = &body[5..];
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
        assert_eq!((body[0], length as usize), (0, message.len()));
        let mut got = self.0.lock().unwrap();
        got.authorization = authorization;
        if got.status == 0 {
            match path.as_str() {
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                    got.traces.push(TracesData::decode(message).unwrap());
                }
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                    got.logs.push(LogsData::decode(message).unwrap());
                }
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
                    got.metrics.push(MetricsData::decode(message).unwrap());
                }
                other => panic!("no service {other}"),
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(got.status));
        let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
        Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
    }

    pub(super) fn with<R>(&self, look: impl FnOnce(&mut Got) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    /// All spans with the node that sent each.
    pub(super) fn spans(&self) -> Vec<(String, Span)> {
        self.with(|got| {
            let all = got.traces.iter().flat_map(|traces| &traces.resource_spans);
            all.flat_map(|resource| {
                let attributes = &resource.resource.as_ref().unwrap().attributes;
                let node = text(attributes, "service.instance.id").unwrap();
                resource.scope_spans.iter().flat_map(move |scope| {
                    let node = node.clone();
                    scope.spans.iter().map(move |span| (node.clone(), span.clone()))
                })
            })
            .collect()
        })
    }

    /// The span of this name, once it is there.
    pub(super) async fn span(&self, name: &str) -> Span {
        let found = || self.spans().into_iter().find(|(_, span)| span.name == name).map(|(_, span)| span);
        self.once(found, name).await
    }

    /// Returns once so many spans are there.
    pub(super) async fn count(&self, spans: usize) {
        let there = || (self.spans().len() >= spans).then_some(());
        self.once(there, &format!("number {spans}")).await;
    }

    async fn once<R>(&self, mut look: impl FnMut() -> Option<R>, what: &str) -> R {
        let clock = onefold_core::Clock::system();
        let deadline = Deadline::after(clock.now(), Duration::from_secs(30));
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(!deadline.remaining(clock.now()).is_zero(), "no span {what} in {:?}", self.names());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.spans().into_iter().map(|(_, span)| span.name).collect()
    }

    /// All log records, each with its target.
    pub(super) fn records(&self) -> Vec<(String, LogRecord)> {
        self.with(|got| {
            let scopes =
                got.logs.iter().flat_map(|logs| &logs.resource_logs).flat_map(|logs| &logs.scope_logs);
            scopes
                .flat_map(|scope| {
                    let target = scope.scope.as_ref().unwrap().name.clone();
                    scope.log_records.iter().map(move |record| (target.clone(), record.clone()))
                })
                .collect()
        })
    }

    /// The metrics of the newest push.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        self.with(|got| {
            let newest = got.metrics.last().into_iter().flat_map(|metrics| &metrics.resource_metrics);
            newest
                .flat_map(|metrics| &metrics.scope_metrics)
                .flat_map(|scope| scope.metrics.clone())
                .collect()
        })
    }
}

/// The attribute of this name as a text.
pub(super) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let mut found = attributes.iter().filter(|attribute| attribute.key == key);
    let value = found.next()?.value.clone()?.value?;
    assert_eq!(found.count(), 0, "two attributes {key}");
    Some(match value {
        Value::StringValue(text) => text,
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        Value::DoubleValue(value) => value.to_string(),
        other => panic!("{other:?}"),
    })
}
