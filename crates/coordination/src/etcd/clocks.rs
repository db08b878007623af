//! How far a member's clock is from this machine's: etcd's answers of HTTP tell the time, to the second.

use crate::config::Endpoint;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{DATE, HOST};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use onefold_core::Clock;
use onefold_core::tls::Connector;
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(2);
/// What a time that is told to the second leaves open.
const GRAIN: Duration = Duration::from_secs(1);

/// By how much the two clocks are apart at least; none where that could not be told.
pub(super) async fn apart(endpoint: &Endpoint, trust: Option<&Connector>, clock: &Clock) -> Option<Duration> {
    let asked: DateTime<Utc> = clock.wall().into();
    let told = tokio::time::timeout(PATIENCE, ask(endpoint, trust)).await.ok()??;
    let told = DateTime::parse_from_rfc2822(&told).ok()?.to_utc();
    Some(at_least(told, asked, clock.wall().into()))
}

/// Somewhere between question and answer the member's clock stood within the second that it told.
fn at_least(told: DateTime<Utc>, asked: DateTime<Utc>, answered: DateTime<Utc>) -> Duration {
    let ahead = told - answered;
    let behind = asked - (told + GRAIN);
    ahead.max(behind).to_std().unwrap_or_default()
}

/// The date of an answer. Over TLS etcd speaks HTTP/2, in the clear HTTP/1 beside gRPC.
async fn ask(endpoint: &Endpoint, trust: Option<&Connector>) -> Option<String> {
    let address = (endpoint.host.trim_matches(['[', ']']), endpoint.port);
    let stream = TcpStream::connect(address).await.ok()?;
    let response = if let Some(trust) = trust {
        let stream = trust.connect(&endpoint.host, stream).await.ok()?;
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
        let uri = Uri::builder().scheme("https").authority(endpoint.to_string()).path_and_query("/version");
        let asking = sender.send_request(Request::get(uri.build().ok()?).body(Empty::<Bytes>::new()).ok()?);
        tokio::select! { answer = asking => answer, _ = connection => return None }
    } else {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let request = Request::get("/version").header(HOST, endpoint.to_string());
        let asking = sender.send_request(request.body(Empty::<Bytes>::new()).ok()?);
        tokio::select! { answer = asking => answer, _ = connection => return None }
    };
    Some(response.ok()?.headers().get(DATE)?.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_by_what_a_second_and_the_way_cannot_explain() {
        let at = |millis: i64| DateTime::from_timestamp_millis(millis).unwrap();
        let apart = |told, asked, answered| at_least(at(told), at(asked), at(answered)).as_millis();
        assert_eq!(apart(10_000, 10_999, 11_400), 0, "it was still 10.999");
        assert_eq!(apart(10_000, 9_500, 10_000), 0);
        assert_eq!(apart(10_000, 14_000, 14_200), 3000, "it is behind");
        assert_eq!(apart(10_000, 6_800, 7_000), 3000, "it is ahead");
    }
}
