//! Bringing a rebuilt binary into a running system, node by node: what serves goes on serving, engines are not touched.
//!
//! Each node drains, ends, is started from the new build and has to be ready before the next one's turn. The first that
//! does not become ready ends it, and goes back to the build that it had.

use super::build::Build;
use super::control::{Restarted, Step};
use super::node::NodeProcess;
use crate::{admin, probe};
use onefold_core::process::{Command, Process as _};
use onefold_core::{NodeName, Role};
use onefold_supervisor::Supervisor;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// How long the balancer may take to send requests to a node that is ready again; without it the roll goes on.
const TAKEN_IN_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// The nodes of a system, in the order in which they are restarted.
pub(super) struct Roll {
    nodes: Vec<Arc<NodeProcess>>,
    /// Where new builds are put.
    path: PathBuf,
    state: PathBuf,
    /// Of two that ask at once, the second is refused.
    turn: Mutex<()>,
}

impl Roll {
    /// App nodes serve, workers work for them, the observer watches both; the balancer keeps all others' changes from
    /// the clients, and comes last.
    pub(super) fn new(mut nodes: Vec<Arc<NodeProcess>>, path: PathBuf, state: PathBuf) -> Self {
        nodes.sort_by_key(|node| match node.planned.role {
            Role::App => 0,
            Role::Worker => 1,
            Role::Observer => 2,
            Role::Balancer => 3,
        });
        Self { nodes, path, state, turn: Mutex::new(()) }
    }

    /// Restarts one node, or all in turn, on the build that stands now where `up` was called. Each step is told;
    /// who does not listen misses it.
    ///
    /// # Errors
    /// What to tell the user where it was refused, or ended before all were restarted.
    pub(super) async fn run(
        &self,
        only: Option<&NodeName>,
        supervisor: &Supervisor,
        tell: mpsc::Sender<Step>,
    ) -> Result<Restarted, String> {
        let Ok(_turn) = self.turn.try_lock() else {
            return Err(
                "another restart is under way; wait for its end, `status` shows each node's build".to_owned()
            );
        };
        let nodes = self.chosen(only)?;
        let opened = Build::open(self.path.clone()).await;
        let build =
            Arc::new(opened.map_err(|error| {
                format!("{} cannot be read ({error}); build it again", self.path.display())
            })?);
        let migrations = self.migrate(&build, supervisor).await?;
        for migration in &migrations {
            // A full channel has a listener who is behind.
            let _ = tell.try_send(Step::Migrated(migration.clone()));
        }
        let mut restarted = Restarted { build: build.name().to_owned(), migrations, nodes: Vec::new() };
        for (turn, node) in nodes.iter().enumerate() {
            let name = node.name().clone();
            let former = node.change(Arc::clone(&build));
            let _ = tell.try_send(Step::Draining { node: name.clone(), of: former.name().to_owned() });
            let reason = format!("it is started again on build {}", build.name());
            match supervisor.restart(&name, reason).await {
                Ok(took) => {
                    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                    let _ = tell.try_send(Step::Ready { node: name.clone(), took_ms });
                    restarted.nodes.push(name);
                    if node.planned.role == Role::App {
                        self.taken_in(node.name()).await;
                    }
                }
                Err(error) => {
                    let back = self.go_back(node, &build, former, supervisor, &restarted).await;
                    let left: Vec<_> = nodes[turn + 1..].iter().map(|node| node.name().clone()).collect();
                    return Err(self.verdict(&error.to_string(), &back, &restarted, &left));
                }
            }
        }
        Ok(restarted)
    }

    fn chosen(&self, only: Option<&NodeName>) -> Result<Vec<Arc<NodeProcess>>, String> {
        let Some(only) = only else { return Ok(self.nodes.clone()) };
        let chosen = self.nodes.iter().find(|node| node.name() == only);
        chosen.map(|node| vec![Arc::clone(node)]).ok_or_else(|| {
            let known: Vec<&str> = self.nodes.iter().map(|node| node.name().as_str()).collect();
            format!("no node is named {only}; it is one of {}", known.join(", "))
        })
    }

    /// The new build brings the schema up to date before the first node wants it. That shows, too, whether the build
    /// runs here at all, and whether it knows the schema that is there.
    async fn migrate(&self, build: &Build, supervisor: &Supervisor) -> Result<Vec<String>, String> {
        let mut command = Command::new(build.program()).args(["migrate", "--state"]).arg(&self.state);
        command.directory.clone_from(&self.nodes[0].directory);
        let output = supervisor.host().run(command).await.map_err(|error| error.to_string())?;
        let said = output.text.trim_end();
        if !output.success {
            let (name, path) = (build.name(), build.path().display());
            return Err(format!(
                "nothing was restarted: build {name} at {path} cannot work with this system; its `migrate` says\n{said}"
            ));
        }
        Ok(said.lines().filter_map(|line| line.strip_prefix("applied ")).map(str::to_owned).collect())
    }

    /// Waits until the balancer sends requests to an app node, so that the next one's leaving finds it at work.
    async fn taken_in(&self, name: &NodeName) {
        let balancer = self.nodes.iter().find(|node| node.planned.role == Role::Balancer);
        let Some(balancer) = balancer else { return };
        let waiting = async {
            while !probe::get(balancer.admin, admin::ENDPOINTS)
                .await
                .is_ok_and(|(_, told)| serves(&told, name))
            {
                tokio::time::sleep(PAUSE).await;
            }
        };
        // A balancer that is away sends no requests to the next one either.
        let _ = tokio::time::timeout(TAKEN_IN_MAX, waiting).await;
    }

    /// Starts a node on its former build again, unless that refuses the schema by now. Answers what came of it.
    async fn go_back(
        &self,
        node: &NodeProcess,
        build: &Build,
        former: Arc<Build>,
        supervisor: &Supervisor,
        restarted: &Restarted,
    ) -> String {
        let (name, of) = (node.name(), former.name().to_owned());
        if of == build.name() {
            return format!("{name} is tried again");
        }
        if !restarted.migrations.is_empty() {
            return format!(
                "{name} is tried again: the former build {of} refuses the schema that the new one has migrated"
            );
        }
        node.change(former);
        match supervisor.restart(name, format!("it goes back to build {of}")).await {
            Ok(_) => format!("{name} is back on build {of}"),
            Err(error) => format!("{name} does not start on its former build {of} either: {error}"),
        }
    }

    fn verdict(&self, error: &str, back: &str, restarted: &Restarted, left: &[NodeName]) -> String {
        let list = |names: &[NodeName]| match names {
            [] => "no node".to_owned(),
            names => names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", "),
        };
        let (build, path) = (&restarted.build, self.path.display());
        format!(
            "{error}\n{back}; on build {build}: {}; left as they are: {}\nto go on, put a build that starts at {path} and run \
             `restart --rolling` again; to go back, put the former one there and do the same",
            list(&restarted.nodes),
            list(left)
        )
    }
}

/// Whether a balancer's list of endpoints says that requests go to this node.
fn serves(endpoints: &str, name: &NodeName) -> bool {
    let endpoints: Vec<Value> = serde_json::from_str(endpoints).unwrap_or_default();
    endpoints.iter().any(|endpoint| endpoint["name"] == name.as_str() && endpoint["health"] == "ready")
}
