//! Looks at the system again and again, keeps the picture of it, and tells what has happened from one look to the
//! next. Whoever is away is shown as it was last known.

use super::edges::Edges;
use super::faults;
use super::happening::{self, Happening};
use super::look::{self, Leads};
use super::picture::{Edge, Node, Picture};
use crate::up::report::Report;
use chrono::{DateTime, Utc};
use onefold_coordination::Coordination;
use onefold_core::metrics::Gauge;
use onefold_core::{Clock, Members, TaskGroup};
use onefold_database::Database;
use onefold_supervisor::status::{self, ProcessStatus};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Between two looks at the supervisor's status: a death shows within a second, with time to spare.
const LOOK: Duration = Duration::from_millis(100);
/// Between two questions who leads, and what goes between the nodes, while somebody looks.
const ASK: Duration = Duration::from_secs(1);
/// The same while nobody does: the questions are some dozens, and the first who comes shall not find nothing.
const REST: Duration = Duration::from_secs(10);
/// How many happenings wait for a reader who is slow; beyond that it misses some.
const HAPPENINGS_MAX: usize = 256;

/// Where the picture comes from.
pub(super) struct Survey {
    pub(super) system: String,
    /// The state directory of the supervisor, where one runs this system.
    pub(super) supervisor: Option<PathBuf>,
    pub(super) database: Database,
    pub(super) coordination: Coordination,
    pub(super) edges: Edges,
    /// What the supervisor of the database publishes, where one does.
    pub(super) epoch_file: Option<PathBuf>,
    /// Whether the primary may have acknowledged what no replica has.
    pub(super) alone: Gauge,
    pub(super) clock: Clock,
}

/// The picture as it is now, and what happens. Cloning is cheap.
#[derive(Clone)]
pub(super) struct View {
    pub(super) picture: watch::Receiver<Arc<Picture>>,
    happenings: broadcast::Sender<Happening>,
    /// When somebody last asked for the picture.
    looked: watch::Sender<Instant>,
    pub(super) clock: Clock,
}

impl View {
    /// The picture as it is now.
    pub(super) fn picture(&self) -> Arc<Picture> {
        self.note_look();
        self.picture.borrow().clone()
    }

    /// What happens from now on. Who listens is somebody who looks.
    pub(super) fn happenings(&self) -> broadcast::Receiver<Happening> {
        let happenings = self.happenings.subscribe();
        self.note_look();
        happenings
    }

    fn note_look(&self) {
        self.looked.send_replace(self.clock.now());
    }

    fn is_looked_at(&self) -> bool {
        let since = self.clock.now().saturating_duration_since(*self.looked.borrow());
        self.happenings.receiver_count() > 0 || since < REST
    }
}

impl Survey {
    /// Looks until the node stops.
    pub(super) fn start(self, tasks: &TaskGroup) -> View {
        let empty = Arc::new(Picture::new(&self.system, Vec::new(), Vec::new()));
        let (sender, picture) = watch::channel(empty);
        let happenings = broadcast::Sender::new(HAPPENINGS_MAX);
        let looked = watch::Sender::new(self.clock.now());
        let view = View { picture, happenings: happenings.clone(), looked, clock: self.clock.clone() };
        let (asked, hears) = watch::channel(Asked::default());
        let survey = Arc::new(self);
        tasks.spawn("observer.ask", Arc::clone(&survey).ask(asked, view.clone(), tasks.stopping()));
        tasks.spawn("observer.look", survey.look(hears, sender, happenings, tasks.stopping()));
        view
    }

    /// Asks for what takes time to answer, apart from the looks that must not wait.
    async fn ask(self: Arc<Self>, asked: watch::Sender<Asked>, view: View, stopping: CancellationToken) {
        let mut looks = view.looked.subscribe();
        loop {
            if let Ok(leaders) = self.coordination.leaders().await {
                let mut leads = Leads::new();
                for leader in leaders {
                    leads.entry(leader.node).or_default().push(leader.election);
                }
                asked.send_modify(|asked| asked.leads = leads);
            }
            let primary = primary(&view.picture.borrow().nodes);
            if let Some(edges) = self.measure(primary).await {
                asked.send_modify(|asked| asked.edges = edges);
            }
            looks.mark_unchanged();
            let is_looked_at = view.is_looked_at();
            tokio::select! {
                () = tokio::time::sleep(if is_looked_at { ASK } else { REST }) => {}
                Ok(()) = looks.changed(), if !is_looked_at => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    async fn measure(&self, primary: Option<String>) -> Option<Vec<Edge>> {
        let (edges, now) = (self.edges.clone(), DateTime::<Utc>::from(self.clock.wall()).timestamp_millis());
        tokio::task::spawn_blocking(move || edges.measure(primary.as_deref(), now)).await.ok()
    }

    async fn look(
        self: Arc<Self>,
        asked: watch::Receiver<Asked>,
        sender: watch::Sender<Arc<Picture>>,
        happenings: broadcast::Sender<Happening>,
        stopping: CancellationToken,
    ) {
        let mut members = self.coordination.members().watch();
        let mut supervised = Supervised::default();
        let mut shown = self.clock.now();
        loop {
            supervised = self.supervised().await.unwrap_or(supervised);
            let present = members.borrow_and_update().clone();
            let picture = self.picture(&supervised, &present, &asked.borrow());
            let before = sender.borrow().clone();
            for happening in happening::between(&before, &picture, self.clock.wall()) {
                // Nobody may be listening.
                let _ = happenings.send(happening);
            }
            let now = self.clock.now();
            let is_due = now.saturating_duration_since(shown) >= ASK;
            if !picture.is_like(&before) || (is_due && picture != *before) {
                sender.send_replace(Arc::new(picture));
                shown = now;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Ok(()) = members.changed() => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    fn picture(&self, supervised: &Supervised, members: &Members, asked: &Asked) -> Picture {
        let mut nodes = look::nodes(&supervised.processes, members, &self.database.servers(), &asked.leads);
        let is_alone = self.epoch_file.as_deref().is_some_and(is_alone);
        self.alone.set(f64::from(u8::from(is_alone)));
        if is_alone {
            look::mark_alone(&mut nodes);
        }
        let mut picture = Picture::new(&self.system, nodes, asked.edges.clone());
        faults::mark(&mut picture, &supervised.report);
        picture
    }

    /// What the supervisor runs, and what it has broken; none where it cannot be read just now.
    async fn supervised(&self) -> Option<Supervised> {
        let directory = self.supervisor.clone()?;
        let read = tokio::task::spawn_blocking(move || {
            let status = status::read(&directory)?;
            let report = Report::read(&directory, status.pid).unwrap_or_default();
            Ok::<_, onefold_supervisor::Error>(Supervised { processes: status.processes, report })
        });
        match read.await {
            Ok(Ok(supervised)) => Some(supervised),
            Ok(Err(error)) => {
                tracing::debug!(%error, "read the supervisor's status");
                None
            }
            Err(_) => None,
        }
    }
}

/// What the supervisor says.
#[derive(Default)]
struct Supervised {
    processes: Vec<ProcessStatus>,
    report: Report,
}

/// What is asked for once a second.
#[derive(Clone, Debug, Default)]
struct Asked {
    leads: Leads,
    edges: Vec<Edge>,
}

/// Whether an epoch file says that the primary is alone. It is a line, and whole: it is replaced in one step.
fn is_alone(epoch_file: &Path) -> bool {
    let epoch = std::fs::read(epoch_file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    epoch.is_some_and(|epoch| epoch["alone"] == true)
}

/// Whom the metrics leave out; nobody while there is none, or while two believe to be it.
fn primary(nodes: &[Node]) -> Option<String> {
    let mut found = nodes.iter().filter(|node| node.role == "primary");
    let first = found.next()?;
    found.next().is_none().then(|| first.name.to_string())
}
