//! `Onefold.toml` as the facade reads it: one struct for each tier, all faults at once.

use crate::overload::Concurrency;
use onefold_core::deadline::duration_text;
use onefold_core::topology::{Document, Fault, Faults, Tables};
use onefold_core::{NodeName, Role, Zone};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub(crate) const TABLES: Tables<'static> = &[
    "system",
    "balancer",
    "app",
    "worker",
    "database",
    "cache",
    "queue",
    "coordination",
    "telemetry",
    "observer",
    "console",
];
const ZONES_MAX: usize = 16;
const APP_NODES_MAX: u16 = 64;
const WORKER_NODES_MAX: u32 = 64;

/// Everything that one topology file describes.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) document: Document,
    pub(crate) system: System,
    pub(crate) balancer: onefold_balancer::Config,
    pub(crate) app: AppNodes,
    pub(crate) worker: onefold_queue::WorkerConfig,
    pub(crate) database: onefold_database::Config,
    pub(crate) cache: onefold_cache::Config,
    pub(crate) queue: onefold_queue::Config,
    pub(crate) coordination: onefold_coordination::Config,
    pub(crate) telemetry: onefold_observability::emit::Config,
    pub(crate) observer: onefold_observability::collect::Config,
    pub(crate) console: onefold_console::Config,
}

/// `[system]`: what the whole is called and where it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct System {
    /// Its name; empty stands for the application's.
    pub(crate) name: Option<NodeName>,
    /// Its failure domains: three, so that a majority survives one.
    pub(crate) zones: Vec<Zone>,
}

impl Default for System {
    fn default() -> Self {
        let zones = ["a", "b", "c"].iter().filter_map(|zone| zone.parse().ok()).collect();
        Self { name: None, zones }
    }
}

/// `[app]`: the nodes that run the handlers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AppNodes {
    /// How many `up` starts in each zone.
    pub(crate) per_zone: u16,
    /// Where a node takes requests.
    pub(crate) listen: SocketAddr,
    /// Whether responses name the node and its zone; `up` switches it on.
    pub(crate) expose_node: bool,
    /// A request's body, in bytes: what handlers read at once stays in memory.
    pub(crate) body_bytes_max: usize,
    /// How many requests a node runs at once: a number, or `"adaptive"`, as many as it can do in time. 256.
    pub(crate) concurrency: Concurrency,
    /// How long a request may take where the client says nothing.
    #[serde(with = "duration_text")]
    pub(crate) timeout: Duration,
    /// How long a stopping node finishes what it has.
    #[serde(with = "duration_text")]
    pub(crate) drain: Duration,
}

impl Default for AppNodes {
    fn default() -> Self {
        Self {
            per_zone: 1,
            listen: ([127, 0, 0, 1], 3000).into(),
            expose_node: false,
            body_bytes_max: 1 << 20,
            concurrency: Concurrency::Fixed(256),
            timeout: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

impl Topology {
    /// Reads the file, its profile and the environment.
    ///
    /// # Errors
    /// All faults that can be told apart, each with its key, value and fix.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Faults> {
        Self::load_with(path, [])
    }

    /// Reads the same, and lays what the command line says over it.
    ///
    /// # Errors
    /// As [`Topology::load`].
    pub(crate) fn load_with(
        path: Option<&Path>,
        told: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Result<Self, Faults> {
        let mut document = Document::load(path, TABLES)?;
        for (key, value) in told {
            document.set(key, value)?;
        }
        Self::of(document)
    }

    /// Reads the console's table alone: no secret of the others need be there.
    ///
    /// # Errors
    /// All faults of the file and the table.
    pub(crate) fn console(path: &Path) -> Result<onefold_console::Config, Faults> {
        Document::load(Some(path), TABLES)?.table("console")
    }

    /// Reads every table of a document.
    pub(crate) fn of(document: Document) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let topology = Self {
            system: table(&document, "system", &mut faults),
            balancer: table(&document, "balancer", &mut faults),
            app: table(&document, "app", &mut faults),
            worker: table(&document, "worker", &mut faults),
            database: table(&document, "database", &mut faults),
            cache: table(&document, "cache", &mut faults),
            queue: table(&document, "queue", &mut faults),
            coordination: table(&document, "coordination", &mut faults),
            telemetry: table(&document, "telemetry", &mut faults),
            observer: table(&document, "observer", &mut faults),
            console: table(&document, "console", &mut faults),
            document,
        };
        faults.extend(topology.faults());
        Faults(faults).into_result()?;
        Ok(topology)
    }

    /// How long a stopping node of this role may take before it is killed: its drain, and a margin to close.
    pub(crate) fn grace(&self, role: Role) -> Duration {
        const MARGIN: Duration = Duration::from_secs(5);
        MARGIN
            + match role {
                Role::Balancer => self.balancer.drain_timeout,
                Role::App => self.app.drain,
                Role::Worker => self.worker.drain(),
                Role::Observer => Duration::ZERO,
            }
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let zones = self.system.zones.len();
        let mut check = |holds: bool, key: &str, problem: String, fix: &str| {
            if !holds {
                faults.push(Fault::new(key, problem, fix));
            }
        };
        check(
            (1..=ZONES_MAX).contains(&zones),
            "system.zones",
            format!("{zones} zones"),
            "name 1 to 16, as in [\"a\", \"b\", \"c\"]",
        );
        let distinct: std::collections::HashSet<_> = self.system.zones.iter().collect();
        check(distinct.len() == zones, "system.zones", "a zone is named twice".to_owned(), "name each once");
        let per_zone = self.app.per_zone;
        check((1..=APP_NODES_MAX).contains(&per_zone), "app.per_zone", per_zone.to_string(), "write 1 to 64");
        let workers = self.worker.nodes;
        check(workers <= WORKER_NODES_MAX, "worker.nodes", workers.to_string(), "write 0 to 64");
        let tiers = [
            self.balancer.validate(),
            self.database.validate(),
            self.cache.validate(),
            self.queue.validate(),
            self.worker.validate(),
            self.coordination.validate(),
            self.observer.validate(),
            self.console.validate(),
            self.telemetry.validate(),
        ];
        faults.extend(tiers.into_iter().filter_map(Result::err).flat_map(|found| found.0));
        faults
    }
}

fn table<T: DeserializeOwned + Default>(document: &Document, name: &str, faults: &mut Vec<Fault>) -> T {
    document.table(name).unwrap_or_else(|mut found| {
        faults.append(&mut found.0);
        T::default()
    })
}
