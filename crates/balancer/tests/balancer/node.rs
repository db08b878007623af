//! A node behind the balancer: an HTTP server that a test scripts, and its admin port.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use onefold_core::{Boot, Member, Role, TaskGroup};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

pub(crate) type NodeBody = BoxBody<Bytes, Infallible>;
/// Requests there are answered 413 before their body is read.
pub(crate) const EARLY: &str = "/early";

/// `None` closes the connection without an answer.
pub(crate) type Reply = Option<Response<NodeBody>>;
type Handler = Arc<dyn Fn(Seen) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A request that arrived whole.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A running node. Dropped or killed, its sockets close at once.
pub(crate) struct Node {
    pub(crate) member: Member,
    state: Arc<State>,
    tasks: TaskGroup,
}

struct State {
    handler: Handler,
    seen: Mutex<Vec<Seen>>,
    begun: AtomicUsize,
    connections: AtomicUsize,
    is_ready: AtomicBool,
    is_silent: AtomicBool,
}

impl Node {
    /// A node in `zone` that answers by `handler`.
    pub(crate) async fn start<F, R>(name: &str, zone: &str, handler: F) -> Self
    where
        F: Fn(Seen) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(name, zone, any, handler).await
    }

    /// A node at that address, as after a restart.
    pub(crate) async fn start_at<F, R>(name: &str, zone: &str, address: SocketAddr, handler: F) -> Self
    where
        F: Fn(Seen) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let member = Member {
            name: name.parse().unwrap(),
            role: Role::App,
            zone: zone.parse().unwrap(),
            address: Some(listener.local_addr().unwrap()),
            admin: admin.local_addr().unwrap(),
            boot: Boot::new(),
            build: String::new(),
        };
        let state = Arc::new(State {
            handler: Arc::new(move |seen| Box::pin(handler(seen))),
            seen: Mutex::default(),
            begun: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            is_ready: AtomicBool::new(true),
            is_silent: AtomicBool::new(false),
        });
        let tasks = TaskGroup::new();
        tasks.spawn("node", accept(listener, state.clone(), tasks.clone(), Port::Requests));
        tasks.spawn("admin", accept(admin, state.clone(), tasks.clone(), Port::Admin));
        Self { member, state, tasks }
    }

    /// A node that answers 200 with its name.
    pub(crate) async fn plain(name: &str, zone: &str) -> Self {
        let text = name.to_owned();
        Self::start(name, zone, move |_| std::future::ready(ok(&text))).await
    }

    /// The requests that arrived whole.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    /// The requests of which at least the head arrived.
    pub(crate) fn begun(&self) -> usize {
        self.state.begun.load(Ordering::SeqCst)
    }

    /// Connections that were ever made for requests.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.state.is_ready.store(ready, Ordering::SeqCst);
    }

    /// From now on it answers nobody who asks whether it is ready.
    pub(crate) fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
    }

    /// Ends it as a crash does: every socket closes, mid-answer or not.
    pub(crate) async fn kill(&self) {
        self.tasks.stop(Duration::ZERO).await;
    }
}

#[derive(Clone, Copy)]
enum Port {
    Requests,
    Admin,
}

async fn accept(listener: TcpListener, state: Arc<State>, tasks: TaskGroup, port: Port) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        if let Port::Requests = port {
            state.connections.fetch_add(1, Ordering::SeqCst);
        }
        tasks.spawn("connection", async move {
            let service = service_fn(move |request| {
                let state = state.clone();
                async move {
                    match port {
                        Port::Requests => state.answer(request).await,
                        Port::Admin if state.is_silent.load(Ordering::SeqCst) => std::future::pending().await,
                        Port::Admin => Ok(state.readiness()),
                    }
                }
            });
            // A connection that breaks is what many tests are about.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<NodeBody>, &'static str> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let (parts, body) = request.into_parts();
        if parts.uri.path() == EARLY {
            return Ok(status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let body = body.collect().await.map_err(|_| "the request did not arrive whole")?.to_bytes();
        let target = parts.uri.to_string();
        let seen = Seen { method: parts.method, target, headers: parts.headers, body };
        self.seen.lock().unwrap().push(seen.clone());
        (self.handler)(seen).await.ok_or("closed as the test wants")
    }

    fn readiness(&self) -> Response<NodeBody> {
        let ready = self.is_ready.load(Ordering::SeqCst);
        status(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE })
    }
}

/// 200 with those pieces, as they come.
pub(crate) fn streamed(
    pieces: impl Stream<Item = &'static str> + Send + Sync + 'static,
) -> Response<NodeBody> {
    let frames = pieces.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
    Response::new(BodyExt::boxed(StreamBody::new(frames)))
}

/// 200 with that text.
#[expect(clippy::unnecessary_wraps, reason = "it is what a handler answers")]
pub(crate) fn ok(text: &str) -> Reply {
    Some(Response::new(full(text)))
}

/// An empty answer of that status.
pub(crate) fn status(status: StatusCode) -> Response<NodeBody> {
    let mut response = Response::new(full(""));
    *response.status_mut() = status;
    response
}

pub(crate) fn full(text: &str) -> NodeBody {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed()
}
