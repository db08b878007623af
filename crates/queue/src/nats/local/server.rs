//! One of the servers as a process.

use super::cluster::Shared;
use super::settings;
use crate::Config;
use crate::config::Engine;
use crate::nats::Server;
use onefold_core::engine::Seat;
use onefold_core::process::{BoxFuture, Command, Host, Process, ProcessError, Stop, StopSignal};
use onefold_core::{NodeName, Zone};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// It hands its leaderships over and closes its files.
const GRACE: Duration = Duration::from_secs(10);
/// It is on this machine.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct LocalServer {
    index: usize,
    shared: Arc<Shared>,
    /// The connection by which it is asked, once there is one. It connects again by itself.
    asked: Mutex<Option<Server>>,
}

impl LocalServer {
    pub(super) fn new(index: usize, shared: Arc<Shared>) -> Self {
        Self { index, shared, asked: Mutex::new(None) }
    }

    fn seat(&self) -> &Seat {
        &self.shared.site.seats[self.index]
    }

    fn directory(&self) -> PathBuf {
        self.shared.site.home.join(self.seat().name.as_str())
    }

    fn settings(&self) -> PathBuf {
        self.directory().join("nats.conf")
    }

    async fn connection(&self) -> Result<Server, ProcessError> {
        let mut asked = self.asked.lock().await;
        if let Some(server) = &*asked {
            return Ok(server.clone());
        }
        // A connection that is refused is tried on in the background: a server that has not begun to listen would
        // leave one such attempt at each question.
        if tokio::net::TcpStream::connect(self.address()).await.is_err() {
            return Err(ProcessError::NotYet("it does not listen yet".to_owned()));
        }
        let url = Some(self.shared.url(self.index));
        let config = Config { engine: Engine::Nats, url, replicas: Some(1), ..Config::default() };
        let connecting = Server::connect(&config, "supervisor");
        let server = tokio::time::timeout(PATIENCE, connecting).await;
        let server = server.map_err(|_| ProcessError::NotYet("it does not answer yet".to_owned()))?;
        let server = server.map_err(ProcessError::not_yet)?;
        Ok(asked.insert(server).clone())
    }
}

impl Process for LocalServer {
    fn name(&self) -> &NodeName {
        &self.seat().name
    }

    /// The leader of the first queue's stream takes all its jobs in.
    fn role(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            let leads = async {
                let server = self.connection().await.ok()?;
                server.is_leader(self.name().as_str()).await.ok()
            };
            let leads = tokio::time::timeout(PATIENCE, leads).await.ok().flatten();
            if leads == Some(true) { "leader" } else { "server" }.to_owned()
        })
    }

    fn zone(&self) -> Option<&Zone> {
        Some(&self.seat().zone)
    }

    fn address(&self) -> SocketAddr {
        self.seat().address
    }

    /// Ports may be others than last time, so the file is written before each start. Who a server is in its cluster
    /// is its name, not its address.
    fn prepare<'a>(&'a self, host: &'a dyn Host) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            let Shared { site, passwords, knows_sync, .. } = &*self.shared;
            host.directory(&self.directory(), site.account.as_ref())?;
            let store = self.directory().join("store");
            let text = settings::text(site, self.seat(), &store, passwords, *knows_sync);
            host.write(&self.settings(), &text, site.account.as_ref())
        })
    }

    fn command(&self) -> Command {
        let command = Command::new(&self.shared.binary)
            .arg("-c")
            .arg(self.settings())
            .account(self.shared.site.account.clone());
        Command { directory: self.directory(), ..command }
    }

    /// It takes part in a cluster that has a leader.
    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            let answers = async {
                let server = self.connection().await?;
                server.answers().await.map_err(ProcessError::not_yet)
            };
            let answered = tokio::time::timeout(PATIENCE * 2, answers).await;
            answered.unwrap_or_else(|_| Err(ProcessError::NotYet("JetStream does not answer yet".to_owned())))
        })
    }

    fn stop(&self) -> Stop {
        Stop { signal: StopSignal::Terminate, grace: GRACE }
    }
}
