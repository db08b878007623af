//! One node's way to etcd: whichever member answers, a deadline for each call.

use super::channel::{Channel, Failure, Refusal};
use super::entry::Entry;
use super::frames::{Frames, framed};
use super::version::Version;
use super::wire::{AskStatus, Repeat, Rpc, StatusAnswer};
use crate::config::Config;
use crate::config::Endpoint;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use onefold_core::TaskGroup;
use onefold_core::tls::{Connector, Identity, PemFile};
use onefold_core::topology::Fault;
use prost::Message as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// A member on this machine answers in a millisecond, one in another zone in a few.
const CONNECT_PATIENCE: Duration = Duration::from_millis(500);

/// Between two tries of one call, where members are there and cannot answer: no leader, too many requests.
const PAUSE: Duration = Duration::from_millis(50);

/// The way to etcd. Cloning is cheap.
#[derive(Clone, Debug)]
pub(super) struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoints: Vec<Endpoint>,
    trust: Option<Connector>,
    entry: Entry,
    timeout: Duration,
    tasks: TaskGroup,
    channel: ArcSwapOption<Channel>,
    /// Which endpoint is tried next; held while one connects, so that many callers make one connection.
    connecting: Mutex<usize>,
    /// Of which endpoints the version is known to be one that serves.
    fit: Vec<AtomicBool>,
}

/// Why a call has failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// It was not done.
    Away(String),
    /// It may have been done.
    Unknown(String),
    /// etcd refused it.
    Refused(Refusal),
}

/// How far a call has come, for whoever stops waiting for it.
#[derive(Default)]
struct Progress {
    is_sent: bool,
    trouble: Option<String>,
}

impl Client {
    /// Reads what stands in files; connects when somebody asks.
    ///
    /// # Errors
    /// Where a file or an address cannot be used.
    pub(super) fn new(config: &Config, tasks: TaskGroup) -> Result<Self, Fault> {
        let endpoints = config.endpoints.clone();
        if endpoints.is_empty() {
            let fix = "name etcd's members, as in [\"http://host:2379\"]; `up` runs three itself";
            return Err(Fault::new("coordination.endpoints", "no address of etcd is named", fix));
        }
        let is_encrypted = endpoints.iter().any(|endpoint| endpoint.is_encrypted);
        let trust = is_encrypted.then(|| trust(config)).transpose()?;
        // Each node begins at a member of its own choice, so that they spread.
        let first = rand::random_range(0..endpoints.len());
        let fit = endpoints.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self(Arc::new(Inner {
            endpoints,
            trust,
            entry: Entry::new(config.user.clone().zip(config.password.clone())),
            fit,
            timeout: config.timeout,
            tasks,
            channel: ArcSwapOption::empty(),
            connecting: Mutex::new(first),
        })))
    }

    /// Asks within the deadline, of as many members as it takes.
    pub(super) async fn call<R: Rpc>(&self, request: &R) -> Result<R::Answer, CallError> {
        self.call_as(request, R::REPEAT).await
    }

    /// The same, where this request is more or less harmless than others of its kind.
    #[tracing::instrument(
        name = "etcd",
        skip_all,
        fields(otel.kind = "client", db.system.name = "etcd", db.operation.name = R::PATH, server.address)
    )]
    pub(super) async fn call_as<R: Rpc>(&self, request: &R, repeat: Repeat) -> Result<R::Answer, CallError> {
        let mut progress = Progress::default();
        let calling = self.attempt_until_answered(request, repeat, &mut progress);
        if let Ok(answer) = tokio::time::timeout(self.0.timeout, calling).await {
            return answer;
        }
        // Whoever it was, somebody else should be asked next.
        self.retire();
        let timeout = self.0.timeout;
        let reason = match progress.trouble {
            Some(trouble) => format!("no answer of etcd within {timeout:?}; {trouble}"),
            None => format!("no answer of etcd at {} within {timeout:?}", self.addresses()),
        };
        match repeat {
            Repeat::Unsafe if progress.is_sent => Err(CallError::Unknown(reason)),
            _ => Err(CallError::Away(reason)),
        }
    }

    /// Asks for a stream of answers, of a member that is there.
    pub(super) async fn stream(
        &self,
        path: &'static str,
        request: &impl prost::Message,
    ) -> Result<(Arc<Channel>, Frames), CallError> {
        let opening = async {
            let channel = self.channel().await?;
            let token = self.0.entry.token(&channel).await?;
            let frames = channel.stream(path, framed(request), token.as_deref()).await;
            frames.map(|frames| (channel, frames)).map_err(|failure| self.failed(failure))
        };
        if let Ok(opened) = tokio::time::timeout(self.0.timeout, opening).await {
            return opened;
        }
        self.retire();
        Err(CallError::Away(format!("no stream of etcd within {:?}", self.0.timeout)))
    }

    /// What a stream's end means. A token that has ended is forgotten, so that the next stream has a new one.
    pub(super) fn failed(&self, failure: Failure) -> CallError {
        match failure {
            Failure::Unsent(reason) | Failure::Lost(reason) => {
                self.retire();
                CallError::Away(reason)
            }
            Failure::Refused(refusal) => {
                if refusal.wants_new_token() {
                    self.0.entry.forget();
                }
                CallError::Refused(refusal)
            }
        }
    }

    async fn attempt_until_answered<R: Rpc>(
        &self,
        request: &R,
        repeat: Repeat,
        progress: &mut Progress,
    ) -> Result<R::Answer, CallError> {
        let message = framed(request);
        let mut renewed = false;
        loop {
            let channel = self.channel().await?;
            tracing::Span::current().record("server.address", tracing::field::display(&channel.endpoint));
            let token = self.0.entry.token(&channel).await?;
            let asking = channel.ask(R::PATH, message.clone(), token.as_deref());
            let failure = match self.attempt::<R::Answer>(asking, repeat, progress).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match failure {
                Failure::Refused(refusal)
                    if refusal.wants_new_token() && self.0.entry.has_user() && !renewed =>
                {
                    renewed = true;
                    self.0.entry.forget_token(token.as_ref());
                }
                Failure::Refused(refusal) if refusal.is_for_later() => {
                    progress.trouble = Some(format!("{}: {}", channel.endpoint, refusal.message));
                    if refusal.may_be_done() && repeat == Repeat::Unsafe {
                        return Err(CallError::Unknown(refusal.message));
                    }
                    channel.retire();
                    tokio::time::sleep(PAUSE).await;
                }
                Failure::Refused(refusal) => return Err(CallError::Refused(refusal)),
                Failure::Lost(reason) if repeat == Repeat::Unsafe => {
                    channel.retire();
                    return Err(CallError::Unknown(format!("{}: {reason}", channel.endpoint)));
                }
                Failure::Lost(reason) | Failure::Unsent(reason) => {
                    // The first other member is asked at once.
                    let is_repeated =
                        progress.trouble.replace(format!("{}: {reason}", channel.endpoint)).is_some();
                    channel.retire();
                    if is_repeated {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Asks one member. One that does not answer in half of the deadline is left for another, if that is harmless.
    async fn attempt<A: prost::Message + Default>(
        &self,
        asking: impl Future<Output = Result<Bytes, Failure>>,
        repeat: Repeat,
        progress: &mut Progress,
    ) -> Result<A, Failure> {
        progress.is_sent = true;
        let answer = match repeat {
            Repeat::Unsafe => asking.await,
            Repeat::Harmless => match tokio::time::timeout(self.0.timeout / 2, asking).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::Lost(format!("no answer within {:?}", self.0.timeout / 2))),
            },
        };
        progress.is_sent = !matches!(answer, Err(Failure::Unsent(_)));
        A::decode(answer?).map_err(|error| Failure::Lost(error.to_string()))
    }

    /// The connection in use, or a new one.
    async fn channel(&self) -> Result<Arc<Channel>, CallError> {
        if let Some(channel) = self.in_use() {
            return Ok(channel);
        }
        let mut next = self.0.connecting.lock().await;
        if let Some(channel) = self.in_use() {
            return Ok(channel);
        }
        let mut troubles = Vec::new();
        for _ in &self.0.endpoints {
            let index = *next % self.0.endpoints.len();
            let endpoint = &self.0.endpoints[index];
            *next += 1;
            let connecting = Channel::connect(endpoint, self.0.trust.as_ref(), &self.0.tasks);
            match tokio::time::timeout(CONNECT_PATIENCE.min(self.0.timeout), connecting).await {
                Ok(Ok(channel)) => {
                    self.check(&channel, &self.0.fit[index]).await?;
                    let channel = Arc::new(channel);
                    self.0.channel.store(Some(channel.clone()));
                    return Ok(channel);
                }
                Ok(Err(trouble)) => troubles.push(trouble),
                Err(_) => troubles.push(format!("{endpoint} does not take a connection")),
            }
        }
        Err(CallError::Away(format!("etcd is not reached: {}", troubles.join("; "))))
    }

    /// Whether a member's version serves. One that does not say it, or not soon, is left to the call itself.
    async fn check(&self, channel: &Channel, is_fit: &AtomicBool) -> Result<(), CallError> {
        if is_fit.load(Ordering::Relaxed) {
            return Ok(());
        }
        let asking = channel.ask(AskStatus::PATH, framed(&AskStatus {}), None);
        let Ok(Ok(answer)) = tokio::time::timeout(self.0.timeout / 4, asking).await else { return Ok(()) };
        let Some((said, version)) = StatusAnswer::decode(answer).ok().and_then(|status| {
            let version = Version::read(&status.version)?;
            Some((status.version, version))
        }) else {
            return Ok(());
        };
        if version < Version::MIN {
            channel.retire();
            let message = format!("{} is version {said}", channel.endpoint);
            return Err(CallError::Refused(Refusal { code: Refusal::UNIMPLEMENTED, message }));
        }
        is_fit.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn in_use(&self) -> Option<Arc<Channel>> {
        self.0.channel.load_full().filter(|channel| channel.is_usable())
    }

    /// Whom it trusts, where the way is encrypted.
    pub(super) fn trust(&self) -> Option<&Connector> {
        self.0.trust.as_ref()
    }

    /// Whether etcd has asked who we are, and knows us now.
    pub(super) fn has_token(&self) -> bool {
        self.0.entry.has_token()
    }

    /// Ends the connection. The next call makes another.
    pub(super) fn close(&self) {
        self.retire();
    }

    fn retire(&self) {
        if let Some(channel) = self.0.channel.swap(None) {
            channel.retire();
        }
    }

    pub(super) fn addresses(&self) -> String {
        let addresses: Vec<String> = self.0.endpoints.iter().map(ToString::to_string).collect();
        addresses.join(", ")
    }
}

/// Whom this node trusts, and what it shows.
fn trust(config: &Config) -> Result<Connector, Fault> {
    let shown = config.certificate.as_deref().zip(config.key.as_deref());
    let shown = shown.map(|(certificate, key)| {
        let certificate = PemFile::new("coordination.certificate", certificate);
        Identity::load(certificate, PemFile::new("coordination.key", key))
    });
    let trust = Connector::load("coordination.ca", config.ca.as_deref(), shown.transpose()?.as_ref())?;
    Ok(trust.shown_by("coordination.certificate and coordination.key").speaking("h2"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::wire::StatusAnswer;
    use http::{HeaderMap, Response};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use std::convert::Infallible;

    /// A member of this version, which answers nothing but what it is.
    async fn member(version: &str) -> Endpoint {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let status = framed(&StatusAnswer { version: version.to_owned(), ..StatusAnswer::default() });
        TaskGroup::new().spawn("member", async move {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = service_fn(move |_| {
                let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
                let frames = [Frame::data(status.clone()), Frame::trailers(trailers)];
                let frames = frames.map(Ok::<_, Infallible>);
                async {
                    Ok::<_, Infallible>(Response::new(StreamBody::new(futures_util::stream::iter(frames))))
                }
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = serving.serve_connection(TokioIo::new(stream), answer).await;
        });
        endpoint
    }

    async fn ask(version: &str) -> Result<String, CallError> {
        let endpoint = member(version).await;
        // Long, so that nobody is too late to say what it is.
        let timeout = Duration::from_mins(1);
        let config = Config { endpoints: vec![endpoint], timeout, ..Config::default() };
        let client = Client::new(&config, TaskGroup::new()).unwrap();
        client.call(&AskStatus {}).await.map(|status| status.version)
    }

    #[tokio::test]
    async fn a_member_that_is_too_old_is_refused_with_the_fix() {
        assert_eq!(ask("3.4.0").await.unwrap(), "3.4.0");
        let refused = crate::Error::from(ask("3.3.27").await.unwrap_err()).to_string();
        assert!(refused.contains("is version 3.3.27") && refused.contains("etcd 3.4 or newer"), "{refused}");
    }
}
