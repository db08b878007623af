//! Sends a message to the receiver, once.

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use onefold_core::Secret;
use onefold_core::tls::Connector;
use onefold_core::topology::Fault;
use serde::{Deserialize, Deserializer, de::Error as _, de::IntoDeserializer as _};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// From the first packet to the answer's head.
const TIMEOUT: Duration = Duration::from_secs(10);
const WRONG: &str = "this is no address such as http://host:9093/hook or https://host/hook";

/// Where notifications go. It may hold a token, and is printed as `***`.
///
/// Read from a plain `http://` or `https://` address, or from a reference to one (`env:NAME`, `file:PATH`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook(Secret);

/// A webhook, and whom it must prove to be. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Receiver {
    webhook: Webhook,
    /// None: plain text.
    trust: Option<Connector>,
}

impl Webhook {
    /// An address that begins with `http://` or `https://`.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn new(address: &str) -> Result<Self, String> {
        let uri: Uri = address.trim().parse().map_err(|_| WRONG)?;
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = scheme && uri.host().is_some_and(|host| !host.is_empty());
        let bare = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        match (host, bare) {
            (true, true) => Ok(Self(Secret::new(address.trim()))),
            (true, false) => Err("an address with a user's name is not supported".to_owned()),
            _ => Err(WRONG.to_owned()),
        }
    }

    /// Whether it is reached through TLS.
    pub fn is_tls(&self) -> bool {
        self.0.expose().starts_with("https://")
    }

    /// The receiver there. With TLS it must show a certificate of an authority in the file `ca`, or else of one that
    /// this machine trusts.
    ///
    /// # Errors
    /// Where the file cannot be used, or the machine trusts nobody.
    pub fn receiver(self, ca: Option<&Path>) -> Result<Receiver, Fault> {
        let trust =
            || Connector::load("observer.webhook_ca", ca, None).map(|trust| trust.speaking("http/1.1"));
        Ok(Receiver { trust: self.is_tls().then(trust).transpose()?, webhook: self })
    }
}

impl Receiver {
    /// Posts JSON and waits for the answer's status.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        match tokio::time::timeout(TIMEOUT, self.try_post(body)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("the receiver did not answer within {TIMEOUT:?}")),
        }
    }

    async fn try_post(&self, body: Vec<u8>) -> Result<(), String> {
        let uri: Uri =
            self.webhook.0.expose().parse().map_err(|_| "the address does not parse".to_owned())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let usual = if self.trust.is_some() { 443 } else { 80 };
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(usual))).await;
        let stream = stream.map_err(|error| format!("connect to the receiver: {error}"))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        match &self.trust {
            None => exchange(stream, &uri, authority, body).await,
            Some(trust) => {
                let shaken = trust.connect(host, stream).await;
                let stream = shaken.map_err(|refused| format!("https://{authority} {refused}"))?;
                exchange(stream, &uri, authority, body).await
            }
        }
    }
}

async fn exchange<S>(stream: S, uri: &Uri, authority: &str, body: Vec<u8>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| format!("speak to the receiver: {error}"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, authority)
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
mod tests;
