//! Faults on purpose: what commands and the console ask for is done here, written down, and ended in time.
//!
//! Processes are stopped and killed by the supervisor alone; connections are broken by the fault proxy, which is part of
//! this process. When it ends no fault is left: its children die with it, and so do connections through it.

mod disk;

use super::report::{self, Report};
use super::tell;
use disk::Disk;
use onefold_chaos::{Book, Edge, Fault, Kind, Member, Proxy, Scene, Wish};
use onefold_core::process::{Account, ProcessError};
use onefold_core::{Clock, NodeName, TaskGroup};
use onefold_supervisor::{State, Supervisor};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Notify;

/// What jitter is drawn from: the same each time, so that a run can be repeated.
const SEED: u64 = 1;
/// How long the proxy may take to end; its connections are dropped at once.
const DRAIN: Duration = Duration::from_secs(1);

/// Why a wish is not fulfilled.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Whoever asks must ask for something else.
    Misused(String),
    /// It could not be done.
    Failed(String),
}

/// The faults of one system.
pub(super) struct Chaos<'a> {
    supervisor: &'a Supervisor,
    proxy: Proxy,
    connections: TaskGroup,
    edges: Vec<(NodeName, NodeName)>,
    ledger: Mutex<Ledger>,
    /// Told when a fault may end sooner than was thought.
    changed: Notify,
    file: PathBuf,
    /// Whom engines belong to.
    account: Option<Account>,
    clock: Clock,
}

#[derive(Default)]
struct Ledger {
    book: Book,
    /// Which process stands still, or can write nothing, for which fault.
    held: Vec<Held>,
}

struct Held {
    fault: u32,
    node: NodeName,
    pid: u32,
}

impl<'a> Chaos<'a> {
    /// Opens the proxy for these edges; where there are none there is none.
    pub(super) async fn open(
        supervisor: &'a Supervisor,
        edges: Vec<Edge>,
        state: &State,
        clock: Clock,
    ) -> io::Result<Self> {
        let connections = TaskGroup::new();
        let ends: BTreeSet<_> = edges.iter().map(|edge| (edge.from.clone(), edge.to.clone())).collect();
        let names = ends.into_iter().collect();
        let proxy = Proxy::open(edges, SEED, &connections).await?;
        let (file, ledger, changed) = (report::file(&state.run()), Mutex::default(), Notify::new());
        let account = state.engines().account().cloned();
        let chaos =
            Self { supervisor, proxy, connections, edges: names, ledger, changed, file, account, clock };
        chaos.publish();
        Ok(chaos)
    }

    /// Does what is wished for.
    pub(super) async fn inflict(&self, wish: &Wish) -> Result<Fault, Refusal> {
        wish.check().map_err(Refusal::Misused)?;
        let target = self.scene().resolve(wish).map_err(Refusal::Misused)?;
        let reached = match wish.kind {
            Kind::Kill => self.kill(&target.nodes).await,
            Kind::Pause => self.pause(&target.nodes).await?,
            Kind::DiskFull => self.fill(&target.nodes).await?,
            _ => Vec::new(),
        };
        if wish.kind.is_of_processes() && reached.is_empty() {
            return Err(Refusal::Failed(format!("nothing of `{}` runs just now; look at `status`", wish.of)));
        }
        let fault = {
            let mut ledger = self.ledger();
            let fault = ledger.book.begin(wish, target, self.now_ms()).map_err(Refusal::Failed)?;
            if !wish.kind.is_momentary() {
                ledger.held.extend(reached.into_iter().map(|(node, pid)| Held {
                    fault: fault.id,
                    node,
                    pid,
                }));
            }
            self.proxy.follow(|from, to| ledger.book.plan(from, to));
            fault
        };
        if wish.kind == Kind::Reset {
            for link in &fault.edges {
                self.proxy.reset(&link.from, &link.to);
            }
        }
        tell(format_args!("fault {}: {}\n", fault.id, fault.text));
        self.publish();
        self.changed.notify_one();
        Ok(fault)
    }

    /// Ends one fault, or all.
    pub(super) async fn heal(&self, id: Option<u32>) -> Result<Vec<Fault>, Refusal> {
        let active: Vec<u32> = self.ledger().book.active().iter().map(|fault| fault.id).collect();
        if let Some(id) = id
            && !active.contains(&id)
        {
            let listed = active.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let there = if listed.is_empty() { "none is".to_owned() } else { format!("those are: {listed}") };
            return Err(Refusal::Misused(format!("fault {id} is not in force; {there}")));
        }
        let mut ended = Vec::new();
        for id in active.into_iter().filter(|active| id.is_none_or(|id| *active == id)) {
            ended.extend(self.end(id, "healed").await);
        }
        Ok(ended)
    }

    /// Ends faults whose time is over, and looks after those whose processes have changed. Until it is dropped.
    pub(super) async fn tend(&self) -> Infallible {
        let mut status = self.supervisor.status();
        loop {
            let now_ms = self.now_ms();
            let is_due = |fault: &&Fault| fault.until_ms.is_some_and(|until_ms| until_ms <= now_ms);
            let due: Vec<u32> =
                self.ledger().book.active().iter().filter(is_due).map(|fault| fault.id).collect();
            for id in due {
                self.end(id, "its time is over").await;
            }
            self.follow_processes().await;
            let next = self.ledger().book.next_end_ms();
            let left = next.map(|next| Duration::from_millis(next.saturating_sub(self.now_ms())));
            tokio::select! {
                () = self.changed.notified() => {}
                Ok(()) = status.changed() => {}
                () = tokio::time::sleep(left.unwrap_or_default()), if left.is_some() => {}
            }
        }
    }

    /// Ends all faults: what stands still could not be stopped in good order.
    pub(super) async fn end_all(&self) {
        // It refuses only what has a number.
        let _ = self.heal(None).await;
    }

    /// Ends the proxy, once nobody needs it any more.
    pub(super) async fn close(&self) {
        self.connections.stop(DRAIN).await;
    }

    async fn end(&self, id: u32, why: &str) -> Option<Fault> {
        let (ended, freed, kept) = {
            let mut ledger = self.ledger();
            let ended = ledger.book.end(id, self.now_ms())?;
            self.proxy.follow(|from, to| ledger.book.plan(from, to));
            let (freed, held): (Vec<_>, Vec<_>) = ledger.held.drain(..).partition(|held| held.fault == id);
            ledger.held = held;
            // Two faults may hold one process; only the last lets it go.
            let kinds =
                ledger.book.active().iter().filter(|fault| fault.kind == ended.kind).map(|fault| fault.id);
            let others: BTreeSet<u32> = kinds.collect();
            let kept = ledger.held.iter().filter(|held| others.contains(&held.fault));
            let kept: BTreeSet<u32> = kept.map(|held| held.pid).collect();
            (ended, freed, kept)
        };
        for held in freed.iter().filter(|held| !kept.contains(&held.pid)) {
            match ended.kind {
                Kind::Pause => self.supervisor.resume(held.pid).await,
                // What does not run any more has no limits.
                _ => {
                    let _ = self.set_disk(&held.node, Disk::Roomy).await;
                }
            }
        }
        tell(format_args!("fault {id}: {why}: {}\n", ended.text));
        self.publish();
        Some(ended)
    }

    /// A process that stood still may have been ended and started anew, which ends the fault; an engine whose disk is full
    /// finds it full again.
    async fn follow_processes(&self) {
        let status = self.supervisor.status().borrow().clone();
        let pid = |node: &NodeName| status.processes.iter().find(|process| process.name == *node)?.pid;
        let (mut over, mut full) = (Vec::new(), Vec::new());
        {
            let mut ledger = self.ledger();
            let Ledger { book, held } = &mut *ledger;
            let kind = |id| book.active().iter().find(|fault| fault.id == id).map(|fault| fault.kind);
            for held in held.iter_mut() {
                let now = pid(&held.node);
                match (kind(held.fault), now) {
                    (Some(Kind::DiskFull), Some(pid)) if pid != held.pid => {
                        held.pid = pid;
                        full.push(held.node.clone());
                    }
                    (Some(Kind::Pause), now) if now != Some(held.pid) => over.push(held.fault),
                    _ => {}
                }
            }
            held.retain(|held| kind(held.fault) != Some(Kind::Pause) || pid(&held.node) == Some(held.pid));
            over.retain(|id| !held.iter().any(|held| held.fault == *id));
        }
        for node in full {
            if let Err(error) = self.set_disk(&node, Disk::Full).await {
                tracing::warn!(%error, "the disk of {node} is not full again");
            }
        }
        over.sort_unstable();
        over.dedup();
        for id in over {
            self.end(id, "what stood still has ended").await;
        }
    }

    async fn kill(&self, nodes: &[NodeName]) -> Vec<(NodeName, u32)> {
        let mut reached = Vec::new();
        for node in nodes {
            reached.extend(self.supervisor.kill(node).await.map(|pid| (node.clone(), pid)));
        }
        reached
    }

    async fn pause(&self, nodes: &[NodeName]) -> Result<Vec<(NodeName, u32)>, Refusal> {
        let mut reached = Vec::new();
        for node in nodes {
            match self.supervisor.pause(node).await {
                Ok(pid) => reached.extend(pid.map(|pid| (node.clone(), pid))),
                Err(error) => {
                    for (_, pid) in reached {
                        self.supervisor.resume(pid).await;
                    }
                    return Err(Refusal::Failed(format!("{node} cannot be stopped: {error}")));
                }
            }
        }
        Ok(reached)
    }

    async fn fill(&self, nodes: &[NodeName]) -> Result<Vec<(NodeName, u32)>, Refusal> {
        let mut reached = Vec::new();
        for node in nodes {
            match self.set_disk(node, Disk::Full).await {
                Ok(pid) => reached.extend(pid.map(|pid| (node.clone(), pid))),
                Err(error) => {
                    for (node, _) in &reached {
                        let _ = self.set_disk(node, Disk::Roomy).await;
                    }
                    return Err(Refusal::Failed(format!("the files of {node} cannot be limited: {error}")));
                }
            }
        }
        Ok(reached)
    }

    /// Sets what a process and all that descends from it may write, itself first: what it starts from then on inherits that.
    async fn set_disk(&self, node: &NodeName, disk: Disk) -> Result<Option<u32>, ProcessError> {
        let (host, account) = (self.supervisor.host(), self.account.as_ref());
        let tree = self.supervisor.tree(node);
        let Some(first) = tree.first() else { return Ok(None) };
        disk::set(disk, *first, account, &*host).await?;
        // Those that it had started before it could be told, too.
        for pid in self.supervisor.tree(node).iter().skip(1) {
            // It may have ended meanwhile.
            let _ = disk::set(disk, *pid, account, &*host).await;
        }
        Ok(Some(*first))
    }

    fn scene(&self) -> Scene {
        let status = self.supervisor.status().borrow().clone();
        let members = status.processes.into_iter().map(|process| Member {
            name: process.name,
            role: process.role,
            zone: process.zone,
            is_engine: process.admin.is_none(),
        });
        Scene { members: members.collect(), edges: self.edges.clone() }
    }

    /// Has everybody know. A disk that is truly full hides it, and changes nothing else.
    fn publish(&self) {
        let report = {
            let ledger = self.ledger();
            Report::own(&self.edges, ledger.book.active().to_vec(), ledger.book.past().cloned().collect())
        };
        // What we show is made of strings and numbers, and always serializes.
        let text = serde_json::to_string(&report).unwrap_or_default();
        if let Err(error) = self.supervisor.host().write(&self.file, &text, None) {
            tracing::warn!(%error, "`status` does not show the faults");
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
