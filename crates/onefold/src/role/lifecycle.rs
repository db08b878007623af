//! What all nodes share: the admin address, readiness, and the signal that ends them.

use super::Telemetry;
use crate::admin::{self, Readiness};
use crate::error::{Error, Result};
use crate::node::Identity;
use crate::serve::{Limits, serve};
use onefold_core::TaskGroup;
use onefold_core::metrics::Metrics;
use onefold_core::topology::{Fault, Faults};
use onefold_observability::emit::Emitter;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long the last requests to the admin address may take.
const ADMIN_DRAIN: Duration = Duration::from_millis(200);

/// How long the last telemetry may take to be sent, where somebody takes it.
const TELEMETRY_DRAIN: Duration = Duration::from_secs(1);

/// How long a successor waits for the admin address of the node before it.
const SUCCESSION_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// A node from its first listener to its end.
pub(super) struct Lifecycle {
    pub(super) tasks: TaskGroup,
    pub(super) metrics: Metrics,
    pub(super) readiness: Readiness,
    /// Where a balancer puts itself, for the admin address to ask.
    pub(super) balancer: admin::Seat,
    /// Cancelled by `SIGTERM` or `SIGINT`.
    pub(super) stopping: CancellationToken,
    /// Tells of the node to the very end.
    pub(super) emitter: Emitter,
    /// What tells of the node to the very end.
    admin: TaskGroup,
    /// The admin address serves to the very end, so that a draining node can be watched; but where a successor waits.
    door: TaskGroup,
}

impl Lifecycle {
    /// Serves the admin address, not ready yet, and listens for signals.
    pub(super) async fn begin(identity: &Identity, telemetry: Telemetry) -> Result<Self> {
        let Telemetry { metrics, emitter } = telemetry;
        let readiness = Readiness::default();
        let listener = admin_listener(identity).await?;
        let (admin, door) = (TaskGroup::new(), TaskGroup::new());
        let balancer = admin::Seat::default();
        let router =
            admin::router(readiness.clone(), metrics.clone(), Arc::clone(&balancer), emitter.clone());
        let connections = TaskGroup::new();
        door.spawn(
            "admin",
            serve(listener, router, Limits::default(), connections, door.stopping(), ADMIN_DRAIN),
        );
        emitter.start(&admin);
        let stopping = CancellationToken::new();
        admin.spawn("signals", cancel_on_signal(stopping.clone())?);
        Ok(Self { tasks: TaskGroup::new(), metrics, readiness, balancer, stopping, emitter, admin, door })
    }

    /// Leaves the admin address to a successor, which is started while this node ends what it has.
    pub(super) async fn leave_admin(&self) {
        self.door.stop(ADMIN_DRAIN * 2).await;
    }

    /// Ends what is left.
    pub(super) async fn end(self, drain: Duration) {
        self.tasks.stop(drain).await;
        tracing::info!("stopped");
        self.emitter.flush(TELEMETRY_DRAIN).await;
        self.leave_admin().await;
        self.admin.stop(ADMIN_DRAIN * 2).await;
    }
}

/// A successor, which is one by the sockets that it inherits, waits until the node before it has left the address.
async fn admin_listener(identity: &Identity) -> Result<TcpListener> {
    let is_successor = !identity.inherited.left().is_empty();
    let waiting = async {
        loop {
            match TcpListener::bind(identity.admin).await {
                Err(error) if is_successor && error.kind() == io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(PAUSE).await;
                }
                bound => return bound,
            }
        }
    };
    let taken = || Err(io::Error::from(io::ErrorKind::AddrInUse));
    let bound = tokio::time::timeout(SUCCESSION_MAX, waiting).await.unwrap_or_else(|_| taken());
    bound.map_err(|error| unlistenable(identity.admin, "--admin", "--admin", &error))
}

/// Binds a listener, or says that `setting` names an address that cannot be had, and which option changes it.
pub(super) async fn bind(address: SocketAddr, setting: &str, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| unlistenable(address, setting, option, &error))
}

/// The refusal of an address, which only the user can set right.
pub(super) fn unlistenable(address: SocketAddr, setting: &str, option: &str, error: &io::Error) -> Error {
    let freed = format!("stop that program, or name another address with {option}");
    Faults::from(Fault::listen(setting, setting, address, error, &freed)).into()
}

fn cancel_on_signal(stopping: CancellationToken) -> Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
        stopping.cancel();
    })
}
