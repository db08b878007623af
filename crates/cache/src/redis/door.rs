//! Opening a connection: transport, user and password, and whether the server is one that we can work with.

use super::address::{Address, Endpoint, Shape};
use super::facts::Facts;
use super::live::Live;
use super::script;
use crate::config::Config;
use onefold_core::TaskGroup;
use onefold_core::tls::Connector;
use onefold_core::topology::Fault;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError, Value};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How long a server may take to let us in: some round trips and a handshake. Nobody waits for it; on a machine that is
/// overloaded, a shorter time would keep us out for as long as it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls that wait for the socket; more wait before it, until their time is over.
const CALLS_MAX: usize = 1024;

/// Why a server cannot be used. Never holds the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nobody listens, or not for us.
    #[error(
        "it cannot be reached ({0}): check `cache.url`, and that the server runs and lets this machine in"
    )]
    Unreachable(String),
    /// It accepts, and says nothing.
    #[error(
        "it does not answer within {} s: check that it is a Redis, and whether it speaks TLS (`rediss://`)",
        PATIENCE.as_secs()
    )]
    Silent,
    /// The handshake failed.
    #[error("it {0}")]
    Tls(String),
    /// It does not know us.
    #[error("it refuses the user or password: correct them in what `cache.url` refers to")]
    Entry,
    /// It lets us do too little.
    #[error("its ACL forbids what the cache needs ({0}): see docs/redis.md for the rules")]
    Forbidden(String),
    /// It is too old.
    #[error("it is version {0}, and 7.0 is the least: upgrade it")]
    Version(String),
    /// A cluster was promised.
    #[error(
        "it is no member of a cluster: write `redis://` with this one server, or set `cluster-enabled yes`"
    )]
    NoCluster,
    /// A single server was promised.
    #[error("it is a member of a cluster: write `redis-cluster://`")]
    Cluster,
    /// It takes no writes.
    #[error("it is a replica: name its master in `cache.url`")]
    Replica,
    /// It reads its data.
    #[error("it is still loading its data: wait")]
    Loading,
    /// It answers, but not like Redis.
    #[error("it answers unlike a Redis ({0}): check `cache.url`")]
    Nonsense(String),
}

/// How servers are entered.
#[derive(Debug)]
pub(crate) struct Door {
    shape: Shape,
    entry: RedisConnectionInfo,
    trust: Option<Connector>,
    /// Connections live as long as whoever uses them; their tasks end with them and are nobody's to stop.
    drivers: TaskGroup,
}

impl Door {
    /// # Errors
    /// Where the file of authorities cannot be used.
    pub(crate) fn new(address: &Address, config: &Config) -> Result<Self, Fault> {
        let mut entry =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        if let Some(user) = &address.user {
            entry = entry.set_username(user);
        }
        if let Some(password) = &address.password {
            entry = entry.set_password(password.expose());
        }
        let trust =
            address.tls.then(|| Connector::load("cache.ca", config.ca.as_deref(), None)).transpose()?;
        Ok(Self { shape: address.shape, entry, trust, drivers: TaskGroup::new() })
    }

    /// Connects, and looks at what is there.
    ///
    /// # Errors
    /// Why the server cannot be used.
    pub(crate) async fn open(&self, at: &Endpoint) -> Result<Live, Unusable> {
        let opening = async {
            let mut connection = self.connect(at, None).await?;
            let facts = self.ask_facts(&mut connection).await?;
            self.check(&facts)?;
            if let Some(problem) = script::load(&mut connection).await.err() {
                return Err(of_redis(&problem));
            }
            Ok(Live::new(connection, facts))
        };
        tokio::time::timeout(PATIENCE, opening).await.unwrap_or(Err(Unusable::Silent))
    }

    /// A connection that hands pushes to `pushes`, without asking what is there.
    ///
    /// # Errors
    /// As [`Door::open`].
    pub(crate) async fn open_for_pushes(
        &self,
        at: &Endpoint,
        pushes: impl redis::aio::AsyncPushSender,
    ) -> Result<MultiplexedConnection, Unusable> {
        let config = AsyncConnectionConfig::new().set_push_sender(pushes);
        let opening = self.connect(at, Some(config));
        tokio::time::timeout(PATIENCE, opening).await.unwrap_or(Err(Unusable::Silent))
    }

    async fn connect(
        &self,
        at: &Endpoint,
        config: Option<AsyncConnectionConfig>,
    ) -> Result<MultiplexedConnection, Unusable> {
        let unreachable = |error: io::Error| Unusable::Unreachable(error.to_string());
        let stream = TcpStream::connect((at.host.as_str(), at.port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let config =
            config.unwrap_or_default().set_response_timeout(None).set_pipeline_buffer_size(CALLS_MAX);
        match &self.trust {
            None => self.enter(stream, config).await,
            Some(trust) => {
                let stream = trust.connect(&at.host, stream).await;
                self.enter(stream.map_err(|error| Unusable::Tls(error.to_string()))?, config).await
            }
        }
    }

    async fn enter<S>(
        &self,
        stream: S,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Unusable>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (connection, driver) = MultiplexedConnection::new_with_config(&self.entry, stream, config)
            .await
            .map_err(|error| of_redis(&error))?;
        self.drivers.spawn("redis-connection", driver);
        Ok(connection)
    }

    async fn ask_facts(&self, connection: &mut MultiplexedConnection) -> Result<Facts, Unusable> {
        let info: Value =
            redis::cmd("INFO").query_async(connection).await.map_err(|error| of_redis(&error))?;
        match info {
            Value::VerbatimString { text, .. } => Ok(Facts::read(&text)),
            Value::BulkString(bytes) => Ok(Facts::read(&String::from_utf8_lossy(&bytes))),
            _ => Err(Unusable::Nonsense("INFO is no text".to_owned())),
        }
    }

    fn check(&self, facts: &Facts) -> Result<(), Unusable> {
        if !facts.is_new_enough() {
            return Err(Unusable::Version(facts.version.clone()));
        }
        if facts.is_loading {
            return Err(Unusable::Loading);
        }
        match (self.shape, facts.is_cluster) {
            (Shape::Cluster, false) => Err(Unusable::NoCluster),
            (Shape::Single, true) => Err(Unusable::Cluster),
            (Shape::Single, false) if facts.is_replica => Err(Unusable::Replica),
            _ => Ok(()),
        }
    }
}

/// What an error during the opening means.
pub(super) fn of_redis(error: &RedisError) -> Unusable {
    match (error.kind(), error.code().unwrap_or_default()) {
        (ErrorKind::AuthenticationFailed, _) | (_, "WRONGPASS" | "NOAUTH") => Unusable::Entry,
        (_, "NOPERM") => Unusable::Forbidden(error.detail().unwrap_or_default().to_owned()),
        (_, "LOADING") => Unusable::Loading,
        (ErrorKind::RESP3NotSupported, _) => Unusable::Version("6 or older".to_owned()),
        (ErrorKind::Io, _) => Unusable::Unreachable(error.to_string()),
        _ => Unusable::Nonsense(error.to_string()),
    }
}
