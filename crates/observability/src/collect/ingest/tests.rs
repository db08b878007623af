use super::*;
use crate::collect::Collector;
use crate::collect::testing::{line, logs_request, span, spans_request};
use ::http::{Request, Response, StatusCode, header};
use bytes::{BufMut as _, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use onefold_core::{Clock, Secret, TaskGroup};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

struct Observer {
    collector: Collector,
    address: SocketAddr,
    tasks: TaskGroup,
    _directory: tempfile::TempDir,
}

async fn observer(config: Config) -> Observer {
    let directory = tempfile::tempdir().unwrap();
    let tasks = TaskGroup::new();
    let collector =
        Collector::open(config, directory.path(), &tasks, &Metrics::new(), &Clock::system()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (serving, stopping) = (collector.clone(), tasks.stopping());
    tasks.spawn("ingest", async move { serving.serve_http(listener, stopping).await });
    Observer { collector, address, tasks, _directory: directory }
}

struct Answer {
    status: StatusCode,
    headers: ::http::HeaderMap,
    trailers: ::http::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

async fn answer(response: Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, trailers, body: collected.to_bytes() }
}

impl Observer {
    async fn post(&self, path: &str, kind: &str, extra: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        self.tasks.spawn("client", async move { drop(connection.await) });
        let mut request =
            Request::post(path).header(header::HOST, "observer").header(header::CONTENT_TYPE, kind);
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        answer(sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap()).await
    }

    async fn call(&self, service: &str, extra: &[(&str, &str)], flag: u8, message: &[u8]) -> Answer {
        let mut framed = BytesMut::new();
        framed.put_u8(flag);
        framed.put_u32(message.len().try_into().unwrap());
        framed.extend_from_slice(message);
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        self.tasks.spawn("client", async move { drop(connection.await) });
        let uri = format!("http://observer/opentelemetry.proto.collector.{service}/Export");
        let mut request = Request::post(uri)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers");
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        answer(sender.send_request(request.body(Full::new(framed.freeze())).unwrap()).await.unwrap()).await
    }

    async fn has_trace(&self, id: u128) -> bool {
        self.collector.flush().await;
        let spans = self.collector.spans().clone();
        tokio::task::spawn_blocking(move || spans.trace(id).unwrap().is_some()).await.unwrap()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const TRACES: &str = "trace.v1.TraceService";

#[tokio::test]
async fn spans_are_taken_in_every_spelling() {
    let observer = observer(Config::default()).await;
    let request = |id| spans_request("app-a", vec![span(id, 1, 0, "n", 0)]);
    let plain = observer.post("/v1/traces", PROTOBUF, &[], request(1)).await;
    assert_eq!((plain.status, plain.body.len()), (StatusCode::OK, 0));
    assert_eq!(plain.headers[header::CONTENT_TYPE], PROTOBUF);
    let packed =
        observer.post("/v1/traces", PROTOBUF, &[("content-encoding", "gzip")], gzip(&request(2))).await;
    assert_eq!(packed.status, StatusCode::OK);
    let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"js"}}]},"scopeSpans":[{"spans":[
        {"traceId":"00000000000000000000000000000003","spanId":"0000000000000001","name":"n","kind":3,"startTimeUnixNano":"1767225600000000000","endTimeUnixNano":"1767225601000000000"}]}]}]}"#;
    let json = observer.post("/v1/traces", "application/json; charset=utf-8", &[], json).await;
    assert_eq!((json.status, json.text().as_str()), (StatusCode::OK, "{}"));
    let call = observer.call(TRACES, &[], 0, &request(4)).await;
    assert_eq!((call.trailers["grpc-status"].as_bytes(), call.body.as_ref()), (&b"0"[..], &[0_u8; 5][..]));
    let packed = observer.call(TRACES, &[("grpc-encoding", "gzip")], 1, &gzip(&request(5))).await;
    assert_eq!(packed.trailers["grpc-status"], "0");
    for id in 1..=5 {
        assert!(observer.has_trace(id).await, "trace {id}");
    }
}

#[tokio::test]
async fn log_records_are_taken() {
    let observer = observer(Config::default()).await;
    let taken =
        observer.post("/v1/logs", PROTOBUF, &[], logs_request("app-a", vec![line(0, 9, "hello")])).await;
    assert_eq!(taken.status, StatusCode::OK);
    let taken =
        observer.call("logs.v1.LogsService", &[], 0, &logs_request("app-a", vec![line(1, 9, "again")])).await;
    assert_eq!(taken.trailers["grpc-status"], "0");
    observer.collector.flush().await;
    assert_eq!(observer.collector.logs().retention().count, 2);
}

#[tokio::test]
async fn what_is_refused_of_a_request_is_counted_in_its_answer() {
    let observer = observer(Config::default()).await;
    let nameless = crate::otlp::trace::Span { span_id: Vec::new(), ..span(2, 1, 0, "n", 0) };
    let request = spans_request("app-a", vec![span(1, 1, 0, "n", 0), nameless]);
    let answer = observer.post("/v1/traces", PROTOBUF, &[], request.clone()).await;
    assert_eq!(answer.status, StatusCode::OK);
    // partial_success { rejected_spans: 1, error_message: … }
    assert_eq!(answer.body[..4], [0x0a, u8::try_from(answer.body.len() - 2).unwrap(), 0x08, 1]);
    assert!(answer.text().contains("a span's id is not 8 bytes"));
    let called = observer.call(TRACES, &[], 0, &request).await;
    assert_eq!(called.body[5..], answer.body);
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","spanId":""}]}]}]}"#;
    let answer = observer.post("/v1/traces", JSON, &[], json).await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["partialSuccess"]["rejectedSpans"], "1");
}

#[tokio::test]
async fn what_is_no_request_gets_the_status_of_the_specification() {
    let observer = observer(Config::default()).await;
    let malformed = observer.post("/v1/traces", PROTOBUF, &[], &b"\x0a\xff\xff"[..]).await;
    assert_eq!(
        (malformed.status, &malformed.headers[header::CONTENT_TYPE]),
        (StatusCode::BAD_REQUEST, &PROTOBUF.parse().unwrap())
    );
    // google.rpc.Status { code: INVALID_ARGUMENT, … }
    assert_eq!(malformed.body[..2], [0x08, 3]);
    let malformed = observer.post("/v1/logs", JSON, &[], r#"{"resourceLogs":7}"#).await;
    let body: serde_json::Value = serde_json::from_slice(&malformed.body).unwrap();
    assert_eq!((malformed.status, &body["code"]), (StatusCode::BAD_REQUEST, &serde_json::json!(3)));
    assert!(body["message"].as_str().unwrap().contains("line 1"), "{body}");
    let cut = observer
        .post("/v1/traces", PROTOBUF, &[("content-encoding", "gzip")], &b"\x1f\x8b\x08nonsense"[..])
        .await;
    assert_eq!(cut.status, StatusCode::BAD_REQUEST);

    let wrong = observer.post("/v1/traces", "text/plain", &[], "x").await;
    assert_eq!(wrong.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let wrong = observer.post("/v1/traces", PROTOBUF, &[("content-encoding", "br")], "x").await;
    assert_eq!(
        (wrong.status, &wrong.headers[header::ACCEPT_ENCODING]),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, &"gzip".parse().unwrap())
    );
    assert_eq!(observer.post("/v1/profiles", PROTOBUF, &[], "").await.status, StatusCode::NOT_FOUND);

    assert_eq!(observer.call(TRACES, &[], 0, b"\x0a\xff\xff").await.trailers["grpc-status"], "3");
    assert_eq!(observer.call(TRACES, &[], 7, b"").await.trailers["grpc-status"], "3");
    assert_eq!(observer.call("x.v1.XService", &[], 0, b"").await.trailers["grpc-status"], "12");
    assert_eq!(
        observer.call(TRACES, &[("grpc-encoding", "snappy")], 1, b"").await.trailers["grpc-status"],
        "12"
    );
}

#[tokio::test]
async fn a_request_that_unpacks_to_more_than_is_allowed_is_refused_before_it_takes_memory() {
    let observer = observer(Config { message_bytes_max: 64 << 10, ..Config::default() }).await;
    let small = gzip(&vec![0; 4 << 20]);
    assert!(small.len() < 64 << 10, "{} bytes", small.len());
    let packed = [("content-encoding", "gzip")];
    let refused = observer.post("/v1/traces", PROTOBUF, &packed, small.clone()).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let refused = observer.post("/v1/traces", PROTOBUF, &[], vec![0; 128 << 10]).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let refused = observer.call(TRACES, &[("grpc-encoding", "gzip")], 1, &small).await;
    assert_eq!(refused.trailers["grpc-status"], "8");
    // It must not be tried again: no RetryInfo.
    assert!(
        !String::from_utf8_lossy(refused.trailers["grpc-status-details-bin"].as_bytes())
            .contains("UmV0cnlJbmZv")
    );
}

#[tokio::test]
async fn a_slow_sender_is_cut_and_others_are_served_meanwhile() {
    let observer = observer(Config { request_timeout: Duration::from_secs(1), ..Config::default() }).await;
    let mut slow = TcpStream::connect(observer.address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: o\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\nab";
    slow.write_all(head.as_bytes()).await.unwrap();
    let quick =
        observer.post("/v1/traces", PROTOBUF, &[], spans_request("app-a", vec![span(1, 1, 0, "n", 0)])).await;
    assert_eq!(quick.status, StatusCode::OK);
    let mut told = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(5), slow.read_exact(&mut told)).await.unwrap().unwrap();
    assert_eq!(told, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_key_is_asked_for_where_one_is_set() {
    let observer = observer(Config { ingest_key: Some(Secret::new("k3y")), ..Config::default() }).await;
    let request = spans_request("app-a", vec![span(1, 1, 0, "n", 0)]);
    for wrong in [&[][..], &[("authorization", "Bearer k3")], &[("authorization", "k3y")]] {
        assert_eq!(
            observer.post("/v1/traces", PROTOBUF, wrong, request.clone()).await.status,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(observer.call(TRACES, wrong, 0, &request).await.trailers["grpc-status"], "16");
    }
    let right = [("authorization", "Bearer k3y")];
    assert_eq!(observer.post("/v1/traces", PROTOBUF, &right, request.clone()).await.status, StatusCode::OK);
    assert_eq!(observer.call(TRACES, &right, 0, &request).await.trailers["grpc-status"], "0");
}

#[tokio::test]
async fn connections_above_the_bound_are_closed_and_the_rest_served() {
    let observer = observer(Config { connections_max: 1, ..Config::default() }).await;
    let mut first = TcpStream::connect(observer.address).await.unwrap();
    first.write_all(b"GET /v1/traces HTTP/1.1\r\nhost: o\r\n\r\n").await.unwrap();
    let mut told = vec![0; 12];
    first.read_exact(&mut told).await.unwrap();
    assert_eq!(told, b"HTTP/1.1 405");
    let mut second = TcpStream::connect(observer.address).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), second.read(&mut told)).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
}
