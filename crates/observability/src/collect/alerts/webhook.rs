//! Sends a message to the receiver, once.

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use onefold_core::Secret;
use serde::{Deserialize, Deserializer, de::Error as _, de::IntoDeserializer as _};
use std::time::Duration;
use tokio::net::TcpStream;

/// From the first packet to the answer's head.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where notifications go. It may hold a token, and is printed as `***`.
///
/// Read from a plain `http://` address, or from a reference to one (`env:NAME`, `file:PATH`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook(Secret);

impl Webhook {
    /// An address that begins with `http://`.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn new(address: &str) -> Result<Self, String> {
        if address.starts_with("https://") {
            return Err(
                "https is not supported: name an Alertmanager or proxy on http, which speaks it".to_owned()
            );
        }
        let uri: Uri =
            address.trim().parse().map_err(|_| "this is no address such as http://host:9093/hook")?;
        let host = uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty());
        let bare = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        match (host, bare) {
            (true, true) => Ok(Self(Secret::new(address.trim()))),
            (true, false) => Err("an address with a user's name is not supported".to_owned()),
            _ => Err("this is no address such as http://host:9093/hook".to_owned()),
        }
    }

    /// Posts JSON and waits for the answer's status.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        match tokio::time::timeout(TIMEOUT, self.try_post(body)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("the receiver did not answer within {TIMEOUT:?}")),
        }
    }

    async fn try_post(&self, body: Vec<u8>) -> Result<(), String> {
        let uri: Uri = self.0.expose().parse().map_err(|_| "the address does not parse".to_owned())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(80))).await;
        let stream = stream.map_err(|error| format!("connect to the receiver: {error}"))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) =
            handshake.map_err(|error| format!("speak to the receiver: {error}"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::post(path)
            .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("onefold/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| format!("make the request: {error}"))?;
        let answer = async move {
            let answer = sender.send_request(request).await;
            // The connection ends with its sender.
            drop(sender);
            answer.map(|answer| answer.status())
        };
        let (status, _) = tokio::join!(answer, connection);
        match status {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => Err(format!("the receiver answered {status}")),
            Err(error) => Err(format!("the receiver did not answer: {error}")),
        }
    }
}

impl<'de> Deserialize<'de> for Webhook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("http://") || text.starts_with("https://") {
            return Self::new(&text).map_err(D::Error::custom);
        }
        let reference: serde::de::value::StringDeserializer<D::Error> = text.into_deserializer();
        Self::new(Secret::deserialize(reference)?.expose()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_and_never_printed() {
        let webhook = Webhook::new("http://127.0.0.1:9093/hook?token=hunter2").unwrap();
        assert!(!format!("{webhook:?}").contains("hunter2"));
        for wrong in ["https://example.com", "example.com", "http://", "ftp://x", "http://a:hunter2@b/"] {
            let refused = Webhook::new(wrong).unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
        let read: Webhook = serde_json::from_str("\"http://host/x\"").unwrap();
        assert_eq!(read, Webhook::new("http://host/x").unwrap());
        assert!(serde_json::from_str::<Webhook>("\"host/x\"").is_err());
    }
}
