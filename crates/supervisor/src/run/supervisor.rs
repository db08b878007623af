//! All processes of one system.

mod disturb;

use super::board::Board;
use super::graph;
use super::keeper::Keeper;
use super::order::Order;
use super::ties::{Shared, Ties};
use crate::children::Children;
use crate::error::Error;
use crate::event::Event;
use crate::log::Log;
use crate::state::State;
use crate::status::{Phase, Status, millis};
use onefold_core::process::{Host, Process};
use onefold_core::{Clock, NodeName, TaskGroup};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How long the writer of the status may take to write its last.
const DRAIN: Duration = Duration::from_secs(2);

/// Orders that wait for one process.
const ORDERS_MAX: usize = 1;

/// Starts, keeps and stops the processes of one system. It lives in a runtime, and no process outlives it.
pub struct Supervisor {
    shared: Arc<Shared>,
    board: Board,
    kept: Mutex<BTreeMap<NodeName, Kept>>,
    tasks: TaskGroup,
    hurry: CancellationToken,
    logs: PathBuf,
    /// Held until the last process has gone.
    _state: Arc<State>,
}

/// What is needed of a process that is kept.
#[derive(Clone)]
struct Kept {
    after: Vec<NodeName>,
    outlives: Vec<NodeName>,
    started: watch::Receiver<bool>,
    gone: watch::Receiver<bool>,
    stop: CancellationToken,
    orders: mpsc::Sender<Order>,
}

impl Supervisor {
    /// A supervisor that runs nothing yet. What happens is told through `events`; they are dropped when nobody
    /// reads them.
    ///
    /// # Errors
    /// [`Error::System`] where the system grants no thread or no parentage of orphans.
    pub fn new(state: Arc<State>, events: mpsc::Sender<Event>, clock: Clock) -> Result<Self, Error> {
        let children = Children::shared()
            .map_err(|source| Error::System { action: "become the parent of orphans", source })?;
        let board = Board::new(millis(clock.wall()));
        let tasks = TaskGroup::new();
        let status = board.clone().keep(state.path().to_owned(), events.clone(), tasks.stopping());
        tasks.spawn("status", status);
        Ok(Self {
            shared: Arc::new(Shared { children, events, clock, leavers: TaskGroup::new() }),
            board,
            kept: Mutex::default(),
            tasks,
            hurry: CancellationToken::new(),
            logs: state.logs(),
            _state: state,
        })
    }

    /// What runs commands for those who plan processes.
    pub fn host(&self) -> Arc<dyn Host> {
        Arc::new(self.shared.children.clone())
    }

    /// Starts processes, each as soon as those that it comes after are ready, and returns when all are. May be
    /// called again with more of them, which may come after the first.
    ///
    /// # Errors
    /// Where one cannot be started ([`Error::Unusable`], [`Error::NotStarted`]) or the order is none
    /// ([`Error::Graph`]). Then everything is stopped, that which ran before as well: nothing is half-started.
    /// [`Error::Stopped`] where [`Supervisor::stop`] came first.
    ///
    /// Cancel safe: a start that is no longer waited for goes on until [`Supervisor::stop`].
    pub async fn start(&self, processes: Vec<Arc<dyn Process>>) -> Result<(), Error> {
        let mut firsts = self.spawn_keepers(processes).await?;
        while !firsts.is_empty() {
            let (first, _, others) = futures_util::future::select_all(firsts).await;
            firsts = others;
            if let Err(error) = first.unwrap_or(Err(Error::Stopped)) {
                self.stop().await;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn spawn_keepers(&self, processes: Vec<Arc<dyn Process>>) -> Result<Vec<First>, Error> {
        let mut roles = Vec::new();
        for process in &processes {
            roles.push(process.role().await);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<_> = processes.iter().map(|process| (process.name().clone(), process.after())).collect();
        graph::check(&kept.keys().cloned().collect::<BTreeSet<_>>(), &new)?;
        let started: BTreeMap<_, _> =
            new.iter().map(|(name, _)| (name.clone(), watch::Sender::new(false))).collect();
        let mut firsts = Vec::new();
        for ((process, role), (name, after)) in processes.into_iter().zip(roles).zip(new) {
            let ready_of = |other| match kept.get(other) {
                Some(running) => Some(running.started.clone()),
                None => started.get(other).map(watch::Sender::subscribe),
            };
            let predecessors = after.iter().filter_map(ready_of).collect();
            let (first, heard) = oneshot::channel();
            let (gone, has_gone) = watch::channel(false);
            let (stop, announced) = (CancellationToken::new(), started[&name].clone());
            let outlives = process.outlives();
            let (orders, ordered) = mpsc::channel(ORDERS_MAX);
            let entry = Kept {
                after,
                outlives,
                started: announced.subscribe(),
                gone: has_gone,
                stop: stop.clone(),
                orders,
            };
            let hurry = self.hurry.clone();
            let ties = Ties { predecessors, first, orders: ordered, started: announced, gone, stop, hurry };
            let line = self.board.add(process.as_ref(), role);
            let log = Log::new(&self.logs, name.as_str());
            let keeper = Keeper::new(Arc::clone(&self.shared), process, line, log);
            self.tasks.spawn("keeper", keeper.run(ties));
            kept.insert(name, entry);
            firsts.push(heard);
        }
        Ok(firsts)
    }

    /// Stops one process in good order and starts it again, with the command that it has by then. Returns how long the
    /// start took once the process is ready. `reason` is told to those who look on.
    ///
    /// # Errors
    /// [`Error::Unknown`] where no process has this name. [`Error::NotStarted`] or [`Error::Unusable`] where the new
    /// start fails, with the last lines of its log; it is tried again all the same, as after a death.
    /// [`Error::Stopped`] where everything is stopped meanwhile.
    ///
    /// Cancel safe: a restart that is no longer waited for goes on.
    pub async fn restart(&self, name: &NodeName, reason: String) -> Result<Duration, Error> {
        let orders = self.orders(name)?;
        let (done, heard) = oneshot::channel();
        orders.send(Order { reason, done }).await.map_err(|_| Error::Stopped)?;
        heard.await.unwrap_or(Err(Error::Stopped))
    }

    fn orders(&self, name: &NodeName) -> Result<mpsc::Sender<Order>, Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = || kept.keys().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
        kept.get(name)
            .map(|one| one.orders.clone())
            .ok_or_else(|| Error::Unknown { name: name.clone(), known: known() })
    }

    /// Says in the status that the system does its work. A detached start returns to its user by that, and shows
    /// what was printed until then.
    pub fn announce_ready(&self) {
        self.board.set(Phase::Ready);
    }

    /// The status, as in the file.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.board.watch()
    }

    /// Stops everything: each process once those that come after it, or that it outlives, have gone, each by its
    /// own signal and grace.
    /// Returns when nothing is left. Cancel safe, and the same from whichever side it is called.
    pub async fn stop(&self) {
        self.board.set(Phase::Stopping);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stops = kept.iter().map(|(name, one)| {
            let before =
                |other: &NodeName, kept: &Kept| kept.after.contains(name) || one.outlives.contains(other);
            let earlier = kept.iter().filter(|(other, kept)| before(other, kept));
            stop_after(one.clone(), earlier.map(|(_, earlier)| earlier.gone.clone()).collect())
        });
        futures_util::future::join_all(stops).await;
        self.tasks.stop(DRAIN).await;
    }

    /// Ends the grace of a stop that is under way or to come: what runs is killed.
    pub fn hurry(&self) {
        self.hurry.cancel();
    }
}

type First = oneshot::Receiver<Result<(), Error>>;

async fn stop_after(mut one: Kept, earlier: Vec<watch::Receiver<bool>>) {
    for mut one_before in earlier {
        // A keeper that is dropped has gone as well.
        let _ = one_before.wait_for(|gone| *gone).await;
    }
    one.stop.cancel();
    let _ = one.gone.wait_for(|gone| *gone).await;
}
