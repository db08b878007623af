//! The connection to NATS, and what its server must be like.

use super::answers::{Account, StreamList};
use super::target::{Target, unusable};
use super::version::{Facts, Version};
use crate::{Config, Error};
use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The engine's name in errors and spans.
pub(super) const NATS: &str = "nats";
/// How long a call to a server may take.
pub(super) const CALL_MAX: Duration = Duration::from_secs(5);
/// The largest message: a job's arguments and all its names, as JSON, and its last errors.
const MESSAGE_BYTES_MAX: usize = crate::ARGS_BYTES_MAX + 64 * 1024;

/// NATS as one node reaches it. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) client: Client,
    pub(super) context: Context,
    /// The servers, without user and password.
    pub(super) address: String,
    replicas: Option<u8>,
    servers: usize,
    checked: std::sync::Arc<OnceCell<()>>,
}

impl Server {
    /// Connects. Servers that do not answer yet are tried on in the background: the outbox keeps what is enqueued.
    ///
    /// # Errors
    /// [`Error::Unusable`] where they answer and refuse, or where the URL cannot be one.
    pub async fn connect(config: &Config, name: &str) -> Result<Self, Error> {
        let target = Target::of(config)?;
        let client = target.connect(config, name).await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(CALL_MAX);
        let server = Self {
            client,
            context,
            address: target.address,
            replicas: config.replicas,
            servers: target.servers.len(),
            checked: std::sync::Arc::default(),
        };
        if server.is_connected() {
            match server.check().await {
                // A cluster that begins has no leader yet, or its servers are slow: every call looks again.
                Err(error @ Error::Engine { .. }) => {
                    tracing::warn!("{error}: tried again; jobs are kept in the database meanwhile");
                }
                checked => checked?,
            }
        }
        Ok(server)
    }

    /// Whether a server is there now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Says no at once while no server is there: a request would wait for its whole time. The first time that one
    /// is there it is looked at.
    pub(super) async fn ready(&self) -> Result<(), Error> {
        if !self.is_connected() {
            return Err(self.failed("not connected"));
        }
        self.check().await
    }

    async fn check(&self) -> Result<(), Error> {
        self.checked.get_or_try_init(|| self.inspect()).await.copied()
    }

    /// What the server must be like, whatever it answers later.
    async fn inspect(&self) -> Result<(), Error> {
        let info = self.client.server_info();
        let version = Version::of(&info.version);
        if version < Version::MIN {
            let problem = format!("its version {} is too old", info.version);
            return Err(self.unusable(problem, "install NATS 2.9 or newer; from 2.10.23 on is better"));
        }
        if info.max_payload < MESSAGE_BYTES_MAX {
            let problem = format!(
                "it takes messages up to {} bytes, and a job may have {MESSAGE_BYTES_MAX}",
                info.max_payload
            );
            return Err(self.unusable(problem, "set max_payload: 1MB in the servers' configuration"));
        }
        if !info.jetstream {
            let problem = "it runs without JetStream".to_owned();
            return Err(
                self.unusable(problem, "add `jetstream { store_dir: … }` to the servers' configuration")
            );
        }
        self.inspect_account().await
    }

    /// Whether the account may use JetStream. The client's own question does not understand servers of 2.9.
    async fn inspect_account(&self) -> Result<(), Error> {
        let account: Account = self
            .context
            .request("INFO", &())
            .await
            .map_err(|error| self.failed(format!("JetStream did not answer: {}", causes(&error))))?;
        match account.error {
            None => Ok(()),
            Some(refusal) if refusal.code == 503 && refusal.description.contains("not enabled") => {
                let problem = format!("this account has no JetStream: {}", refusal.description);
                Err(self.unusable(problem, "enable JetStream for the account of queue.url"))
            }
            Some(refusal) => Err(self.failed(refusal.description)),
        }
    }

    /// On how many servers a job is kept.
    pub(super) fn replicas(&self) -> usize {
        self.replicas.map_or(if self.servers >= 3 { 3 } else { 1 }, usize::from)
    }

    /// What the server that this node is connected to says of itself.
    pub fn facts(&self) -> Option<Facts> {
        let info = self.client.try_server_info().filter(|_| self.is_connected())?;
        Some(Facts {
            is_frail: Version::of(&info.version) < Version::SOUND,
            knows_sync: Version::of(&info.version) >= Version::SYNCS,
            version: info.version,
            name: info.server_name,
            cluster: info.cluster,
            replicas: self.replicas(),
        })
    }

    /// Whether JetStream answers now: in a cluster, whether that has a leader.
    ///
    /// # Errors
    /// [`Error::Engine`] where it does not.
    pub async fn answers(&self) -> Result<(), Error> {
        self.ready().await?;
        self.inspect_account().await
    }

    /// Whether the server of this name leads the first of the streams.
    ///
    /// # Errors
    /// [`Error::Engine`] where it cannot be asked.
    pub async fn is_leader(&self, name: &str) -> Result<bool, Error> {
        self.ready().await?;
        let streams: StreamList = self
            .context
            .request("STREAM.LIST", &serde_json::json!({ "offset": 0 }))
            .await
            .map_err(|error| self.failed(causes(&error)))?;
        let first = streams.streams.unwrap_or_default().into_iter().next();
        Ok(first.and_then(|stream| stream.cluster?.leader).is_some_and(|leader| leader == name))
    }

    /// Where it is, without what is secret.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// An error that may pass.
    pub(super) fn failed(&self, problem: impl Into<String>) -> Error {
        Error::Engine { engine: NATS, address: self.address.clone(), problem: problem.into() }
    }

    /// An error that stays.
    pub(super) fn unusable(&self, problem: String, fix: &str) -> Error {
        unusable(&self.address, problem, fix)
    }
}

/// An error with what lies below it, which the client's own texts leave out.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}
