//! What one node has started: its connections to every tier.

use crate::App;
use crate::error::Result;
use crate::topology::Topology;
use onefold_cache::Cache;
use onefold_coordination::Coordination;
use onefold_core::metrics::Metrics;
use onefold_core::{Boot, Clock, Member, NodeName, Role, TaskGroup, Zone};
use onefold_database::{Database, Keys, MigrationSet};
use onefold_queue::{Admin, Kinds, Queue};
use onefold_supervisor::Inheritance;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

/// Who a node is and where it listens, as its command line says.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: NodeName,
    pub(crate) role: Role,
    pub(crate) zone: Zone,
    /// Where it takes requests; a worker takes none.
    pub(crate) listen: Option<SocketAddr>,
    /// Where the others find it, if that is not where it listens.
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) advertise_admin: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) boot: Boot,
    /// The state directory of the `up` that runs it.
    pub(crate) state: Option<PathBuf>,
    /// The sockets that whoever started it has opened for it.
    pub(crate) inherited: Inheritance,
}

impl Identity {
    /// How the others see it.
    pub(crate) fn member(&self) -> Member {
        Member {
            name: self.name.clone(),
            role: self.role,
            zone: self.zone.clone(),
            address: self.advertise.or(self.listen),
            admin: self.advertise_admin.unwrap_or(self.admin),
            boot: self.boot,
            build: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The tiers that handlers and jobs use, on one node.
pub(crate) struct Node {
    pub(crate) identity: Identity,
    pub(crate) database: Database,
    pub(crate) cache: Cache,
    pub(crate) queue: Queue,
    /// What people and the leader ask of the queue.
    pub(crate) jobs: Admin,
    pub(crate) coordination: Coordination,
    /// What session tokens are signed with.
    pub(crate) keys: Keys,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

impl Node {
    /// Connects to every tier. It fails without a primary, and waits for nothing else.
    pub(crate) async fn start(
        app: &App,
        topology: &Topology,
        identity: Identity,
        tasks: &TaskGroup,
        metrics: &Metrics,
    ) -> Result<Arc<Self>> {
        let clock = Clock::system();
        let (name, zone) = (&identity.name, &identity.zone);
        let database =
            Database::connect(&topology.database, name, zone, tasks, metrics, clock.clone()).await?;
        database.check_schema(&schema(app)).await?;
        let keys = database.keys()?.clone();
        let coordination = coordination(topology, &database, name, tasks, metrics, &clock).await?;
        for register in &app.settings {
            register(coordination.settings())?;
        }
        let cache = Cache::start(&topology.cache, &database, tasks, metrics, clock.clone())?;
        // Handlers need the node, which needs the queue, which needs the kinds: so they get it a moment later.
        let seat = Arc::new(OnceLock::new());
        let kinds = Arc::new(kinds(app, &seat)?);
        let engine = topology.queue.start(name.as_str(), &database, tasks, metrics, clock.clone()).await?;
        let queue = Queue::start(engine.store, kinds, &topology.queue, tasks, metrics);
        let node = Arc::new(Self {
            identity,
            database,
            cache,
            queue,
            jobs: engine.admin,
            coordination,
            keys,
            metrics: metrics.clone(),
            clock,
        });
        // It was empty a moment ago, and nobody else sets it.
        let _ = seat.set(Arc::downgrade(&node));
        Ok(node)
    }
}

/// Starts the configuration service of a node, on the engine of the topology.
pub(crate) async fn coordination(
    topology: &Topology,
    database: &Database,
    name: &NodeName,
    tasks: &TaskGroup,
    metrics: &Metrics,
    clock: &Clock,
) -> Result<Coordination> {
    let node = onefold_coordination::Node {
        name: name.clone(),
        tasks: tasks.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
    };
    Ok(Coordination::connect(database, &topology.coordination, &node).await?)
}

fn kinds(app: &App, seat: &Seat) -> Result<Kinds> {
    let mut kinds = Kinds::new();
    for job in app.jobs.iter().chain(app.schedules.iter().map(|schedule| &schedule.job)) {
        kinds.register(job.kind, job.policy(), job.handler(seat))?;
    }
    Ok(kinds)
}

/// Where handlers find their node once it stands.
pub(crate) type Seat = Arc<OnceLock<Weak<Node>>>;

/// The schema that this build works with: each tier's, then the application's.
pub(crate) fn schema(app: &App) -> [MigrationSet; 5] {
    [
        onefold_database::MIGRATIONS,
        onefold_coordination::MIGRATIONS,
        onefold_cache::MIGRATIONS,
        onefold_queue::MIGRATIONS,
        MigrationSet { owner: app.name, migrations: app.migrations },
    ]
}
