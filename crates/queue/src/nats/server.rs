//! The connection to NATS, and what its server must be like.

use crate::{Config, Error};
use async_nats::connection::State;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use serde::Deserialize;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// The engine's name in errors and spans.
pub(super) const NATS: &str = "nats";
/// How long a call to a server may take.
pub(super) const CALL_MAX: Duration = Duration::from_secs(5);
/// How long a first connection may take before it goes on in the background.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// What comes between two attempts to connect again, at most: a server that is back is used soon.
const RECONNECT_MAX: Duration = Duration::from_millis(500);
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

/// A server's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// The name of its cluster, if it is in one.
    pub cluster: Option<String>,
    /// Whether this version may lose a write to a stream that it has confirmed, or redeliver it, for bugs that
    /// were mended later.
    pub is_frail: bool,
    /// Whether this version can sync each write before it acknowledges it (`sync_interval: always`).
    pub knows_sync: bool,
    /// On how many servers this node keeps jobs.
    pub replicas: usize,
}

impl Server {
    /// Connects. Servers that do not answer yet are tried on in the background: the outbox keeps what is enqueued.
    ///
    /// # Errors
    /// [`Error::Unusable`] where they answer and refuse, or where the URL cannot be one.
    pub async fn connect(config: &Config, name: &str) -> Result<Self, Error> {
        let target = Target::of(config)?;
        let unusable = |problem: String, fix: &str| target.unusable(problem, fix);
        if let Some(path) = config.ca.as_ref().filter(|path| !path.is_file()) {
            let problem = format!("queue.ca is {}, which is no file", path.display());
            return Err(unusable(
                problem,
                "name the PEM file of the authority that signed NATS' certificates",
            ));
        }
        let connecting = target.options(config, name).connect(target.servers.clone());
        let client = match tokio::time::timeout(CONNECT_MAX, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    let fix = "correct the user and password in queue.url, or queue.token";
                    return Err(unusable("it refuses these credentials".to_owned(), fix));
                }
                ConnectErrorKind::Tls => {
                    let fix =
                        "name its authority in queue.ca, and write tls:// only where the servers speak TLS";
                    return Err(unusable(format!("no TLS: {}", causes(&error)), fix));
                }
                ConnectErrorKind::ServerParse => {
                    return Err(unusable(causes(&error), "write queue.url as nats://h1:4222,h2:4222"));
                }
                _ if target.has_no_tls().await => return Err(target.refuses_tls()),
                _ => target.connect_later(config, name, &causes(&error)).await?,
            },
            Err(_) if target.has_no_tls().await => return Err(target.refuses_tls()),
            Err(_) => {
                let silence = format!("no answer within {CONNECT_MAX:?}");
                target.connect_later(config, name, &silence).await?
            }
        };
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
            server.check().await?;
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

fn unusable(address: &str, problem: String, fix: &str) -> Error {
    Error::Unusable { engine: NATS, address: address.to_owned(), problem, fix: fix.to_owned() }
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

/// Where to connect, and as whom.
struct Target {
    servers: Vec<ServerAddr>,
    user: Option<(String, Option<String>)>,
    address: String,
    is_tls: bool,
}

impl Target {
    fn of(config: &Config) -> Result<Self, Error> {
        let fix =
            "write queue.url as nats://user:password@h1:4222,h2:4222, or tls://… where the servers speak TLS";
        let Some(url) = &config.url else {
            return Err(unusable("nowhere", "queue.url is not set".to_owned(), fix));
        };
        let (scheme, rest) = url.expose().split_once("://").unwrap_or(("nats", url.expose()));
        let (user, hosts) = rest.rsplit_once('@').map_or((None, rest), |(user, hosts)| (Some(user), hosts));
        let hosts: Vec<&str> = hosts.split(',').map(|host| host.trim().trim_end_matches('/')).collect();
        let address = hosts.join(",");
        if !matches!(scheme, "nats" | "tls") {
            return Err(unusable(&address, format!("`{scheme}://` is no scheme of NATS here"), fix));
        }
        // A repeated scheme (`nats://a,nats://b`) is what other clients take, too.
        let parse = |host: &&str| {
            let host = host.rsplit_once("://").map_or(*host, |(_, host)| host);
            format!("{scheme}://{host}").parse::<ServerAddr>()
        };
        let servers = hosts.iter().map(parse).collect::<Result<Vec<_>, _>>();
        let servers = servers.map_err(|error| unusable(&address, error.to_string(), fix))?;
        if servers.iter().any(|server| server.host().is_empty()) {
            return Err(unusable(&address, "a host is missing".to_owned(), fix));
        }
        let user = user.map(|user| match user.split_once(':') {
            Some((user, password)) => (decoded(user), Some(decoded(password))),
            None => (decoded(user), None),
        });
        Ok(Self { servers, user, address, is_tls: scheme == "tls" })
    }

    fn options(&self, config: &Config, name: &str) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(Duration::from_secs(2))
            .request_timeout(Some(CALL_MAX))
            .ping_interval(Duration::from_secs(5))
            .reconnect_delay_callback(|attempts| {
                let step = u32::try_from(attempts).unwrap_or(u32::MAX);
                Duration::from_millis(20).saturating_mul(step).min(RECONNECT_MAX)
            })
            .event_callback(async |event| tracing::debug!("NATS: {event}"))
            .require_tls(self.is_tls);
        if let Some(ca) = &config.ca {
            options = options.add_root_certificates(ca.clone());
        }
        match (&config.token, &self.user) {
            (Some(token), _) => options.token(token.expose().to_owned()),
            (None, Some((user, Some(password)))) => options.user_and_password(user.clone(), password.clone()),
            (None, Some((token, None))) => options.token(token.clone()),
            (None, None) => options,
        }
    }

    /// A client that goes on trying in the background.
    async fn connect_later(&self, config: &Config, name: &str, why: &str) -> Result<Client, Error> {
        tracing::warn!(
            "queue: nats at {} does not answer ({why}): tried again; jobs are kept in the database meanwhile",
            self.address
        );
        let options = self.options(config, name).retry_on_initial_connect();
        let client = options.connect(self.servers.clone()).await;
        client.map_err(|error| self.unusable(causes(&error), "correct queue.url"))
    }

    /// Whether TLS is asked of a server that offers none: what it says first, in the clear, tells. The client only
    /// finds that its handshake is not answered.
    async fn has_no_tls(&self) -> bool {
        #[derive(Deserialize)]
        struct Greeting {
            #[serde(default)]
            tls_required: bool,
            #[serde(default)]
            tls_available: bool,
        }
        let Some(first) = self.servers.first().filter(|_| self.is_tls) else { return false };
        let greeting = async {
            let mut stream = TcpStream::connect((first.host(), first.port())).await.ok()?;
            let mut line = vec![0; GREETING_BYTES_MAX];
            let length = stream.read(&mut line).await.ok()?;
            let text = line.get(..length)?.strip_prefix(b"INFO ")?;
            let text = text.split(|byte| *byte == b'\r').next()?;
            serde_json::from_slice::<Greeting>(text).ok()
        };
        let greeting = tokio::time::timeout(Duration::from_secs(2), greeting).await;
        greeting.ok().flatten().is_some_and(|said| !said.tls_required && !said.tls_available)
    }

    fn refuses_tls(&self) -> Error {
        let fix = "write nats://, or give the servers a certificate; queue.ca names its authority";
        self.unusable("it speaks no TLS".to_owned(), fix)
    }

    fn unusable(&self, problem: String, fix: &str) -> Error {
        unusable(&self.address, problem, fix)
    }
}

/// What is read of a server's greeting.
const GREETING_BYTES_MAX: usize = 16 * 1024;

/// Percent-encoding taken back, as in the user and password of a URL.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Version {
    /// The oldest server that works: 2.9 brought the consumers that are made here.
    pub(super) const MIN: Self = Self(2, 9, 0);
    /// The first that can sync each write.
    pub(super) const SYNCS: Self = Self(2, 10, 0);
    /// Older ones have bugs in the replication of streams and consumers that were mended later.
    const SOUND: Self = Self(2, 10, 23);

    /// What cannot be read is taken for the oldest.
    pub(super) fn of(text: &str) -> Self {
        let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self(next(), next(), next())
    }
}

/// What `INFO` answers, as far as it matters.
#[derive(Debug, Deserialize)]
struct Account {
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: u16,
    #[serde(default)]
    description: String,
}

/// What `STREAM.LIST` answers, as far as it matters.
#[derive(Debug, Deserialize)]
struct StreamList {
    #[serde(default)]
    streams: Option<Vec<Listed>>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    cluster: Option<Led>,
}

#[derive(Debug, Deserialize)]
struct Led {
    leader: Option<String>,
}

/// What `STREAM.NAMES` answers.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamNames {
    #[serde(default)]
    pub(super) streams: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Secret;

    fn target(url: &str) -> Result<Target, Error> {
        Target::of(&Config { url: Some(Secret::new(url)), ..Config::default() })
    }

    #[test]
    fn several_hosts_share_a_user_and_the_address_shows_no_password() {
        let several = target("nats://app:s%40cret@h1:4222,h2,h3:4000").unwrap();
        assert_eq!(several.address, "h1:4222,h2,h3:4000");
        assert_eq!(several.user, Some(("app".to_owned(), Some("s@cret".to_owned()))));
        assert_eq!(several.servers.len(), 3);
        assert_eq!(several.servers[1].port(), 4222);
        assert!(target("tls://h").unwrap().is_tls);
        assert!(target("nats://h1,nats://h2").is_ok());
    }

    #[test]
    fn what_is_no_url_is_refused_without_the_password() {
        for url in ["http://u:hunter2@h", "nats://u:hunter2@", "nats://u:hunter2@h:port"] {
            let refused = target(url).err().expect(url).to_string();
            assert!(refused.contains("queue.url") && !refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(
            Version::of("2.9.10") < Version::of("2.10.2")
                && Version::of("2.10.23-beta.1") >= Version(2, 10, 23)
        );
        assert!(Version::of("unknown") < Version::MIN);
    }
}
