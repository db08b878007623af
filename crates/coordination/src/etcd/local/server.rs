//! One member as a process.

use super::{Shared, users};
use crate::config::{Config, Engine};
use crate::etcd::client::Client;
use crate::etcd::wire::{AskStatus, StatusAnswer};
use onefold_core::engine::Seat;
use onefold_core::process::{BoxFuture, Command, Host, Process, ProcessError, Stop, StopSignal};
use onefold_core::{NodeName, TaskGroup, Zone};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// It hands its leadership over and closes its files.
const GRACE: Duration = Duration::from_secs(10);

/// A member on this machine answers in a millisecond, if it can.
const PATIENCE: Duration = Duration::from_secs(1);

/// Variables that would take the place of what stands on the command line.
const VARIABLES: &[&str] = &[
    "ETCD_ADVERTISE_CLIENT_URLS",
    "ETCD_CONFIG_FILE",
    "ETCD_DATA_DIR",
    "ETCD_DISCOVERY",
    "ETCD_FORCE_NEW_CLUSTER",
    "ETCD_INITIAL_ADVERTISE_PEER_URLS",
    "ETCD_INITIAL_CLUSTER",
    "ETCD_INITIAL_CLUSTER_STATE",
    "ETCD_INITIAL_CLUSTER_TOKEN",
    "ETCD_LISTEN_CLIENT_URLS",
    "ETCD_LISTEN_PEER_URLS",
    "ETCD_NAME",
    "ETCD_WAL_DIR",
];

pub(crate) struct Server {
    index: usize,
    shared: Arc<Shared>,
    tasks: TaskGroup,
}

impl Server {
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Self {
        Self { index, shared, tasks: TaskGroup::new() }
    }

    fn seat(&self) -> &Seat {
        &self.shared.site.seats[self.index]
    }

    fn data(&self) -> PathBuf {
        self.shared.site.home.join(self.seat().name.as_str())
    }

    /// Asks this member alone; that takes no user.
    async fn status(&self) -> Result<StatusAnswer, ProcessError> {
        let config = Config {
            engine: Engine::Etcd,
            endpoints: vec![self.shared.endpoint(self.index)],
            timeout: PATIENCE,
            ..Config::default()
        };
        let tasks = TaskGroup::new();
        let client = Client::new(&config, tasks.clone()).map_err(ProcessError::not_yet)?;
        let answer = client.call(&AskStatus {}).await;
        // One connection for one question: it ends with it.
        client.close();
        answer.map_err(|error| ProcessError::not_yet(crate::Error::from(error)))
    }
}

impl Process for Server {
    fn name(&self) -> &NodeName {
        &self.seat().name
    }

    fn role(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            let leads = self.status().await.is_ok_and(|status| status.is_of_leader());
            if leads { "leader".to_owned() } else { "member".to_owned() }
        })
    }

    fn zone(&self) -> Option<&Zone> {
        Some(&self.seat().zone)
    }

    fn address(&self) -> SocketAddr {
        self.seat().address
    }

    fn prepare<'a>(&'a self, host: &'a dyn Host) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async {
            let account = self.shared.site.account.as_ref();
            host.directory(&self.data(), account)?;
            host.directory(&self.shared.sockets(), account)
        })
    }

    fn command(&self) -> Command {
        let socket = |name: &NodeName| format!("unix://{name}:0");
        let cluster: Vec<String> = self
            .shared
            .site
            .seats
            .iter()
            .map(|seat| format!("{}={}", seat.name, socket(&seat.name)))
            .collect();
        let client = format!("http://{}", self.seat().address);
        let command = Command::new(&self.shared.program)
            .args(["--name", self.name().as_str()])
            .arg("--data-dir")
            .arg(self.data())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &socket(self.name())])
            .args(["--initial-advertise-peer-urls", &socket(self.name())])
            .args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"])
            // A member that comes back does not unseat a leader that is well.
            .arg("--pre-vote=true")
            // What nodes look back at stands in keys; etcd's own history serves a watch that broke off.
            .args(["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h"])
            // A document of flags is one transaction.
            .args(["--max-txn-ops", "10000"])
            // The passwords are 32 random bytes: no dear hash makes them harder to guess.
            .args(["--bcrypt-cost", "4"])
            .args(["--logger", "zap", "--log-level", "warn", "--log-outputs", "stderr"])
            .without(VARIABLES)
            .account(self.shared.site.account.clone());
        Command { directory: self.shared.sockets(), ..command }
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            if self.status().await?.leader == 0 {
                return Err(ProcessError::not_yet("etcd has no leader yet"));
            }
            Ok(())
        })
    }

    /// Users, by the first member for all.
    fn started(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            if self.index > 0 {
                return Ok(());
            }
            users::equip(&self.shared, &self.tasks).await
        })
    }

    fn stop(&self) -> Stop {
        Stop { signal: StopSignal::Terminate, grace: GRACE }
    }
}

impl StatusAnswer {
    /// Whether the member that answered leads.
    pub(crate) fn is_of_leader(&self) -> bool {
        self.leader != 0 && self.header.as_ref().is_some_and(|header| header.member_id == self.leader)
    }
}
