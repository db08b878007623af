//! The children of this process: one thread spawns them, signals them and waits for them.
//!
//! One thread, because the parent-death signal fires when the *thread* that spawned ends, and because a signal may
//! only go to a process that nobody has waited for yet: its number may belong to another one afterwards. It lives
//! as long as the process. As child subreaper the process also inherits what its children leave behind.
//! Children that other code starts (in this process' own group) are left to it.

use crate::exit::Exit;
use crate::guard::Guard;
use crate::hidden::{self, Bond};
use crate::machine;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpgrp, getpid};
use onefold_core::process::Command;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// Orders that wait for the thread. Who finds it full waits as well.
const ORDERS_MAX: usize = 64;

/// How often the table is looked through even if no signal says so.
const PERIOD: Duration = Duration::from_secs(2);

/// How often it is looked through while orphans are being removed.
const SWEEP_PERIOD: Duration = Duration::from_millis(3);

/// The children of this process. There is one such table in a process, and clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Children(mpsc::Sender<Order>);

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    exit: oneshot::Receiver<Exit>,
}

#[derive(Debug)]
enum Order {
    Spawn { command: Box<Command>, output: OwnedFd, started: oneshot::Sender<io::Result<Child>> },
    Signal { pid: Pid, signal: Signal },
    KillTree { pid: Pid },
    Sweep { done: oneshot::Sender<()> },
}

impl Children {
    /// The table of this process; its thread is started by the first call.
    pub(crate) fn shared() -> io::Result<Self> {
        static SHARED: OnceLock<Children> = OnceLock::new();
        if let Some(children) = SHARED.get() {
            return Ok(children.clone());
        }
        let started = Self::start()?;
        Ok(SHARED.get_or_init(|| started).clone())
    }

    fn start() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_child_subreaper(true)?;
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let guard = Guard::start()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || runtime.block_on(Table { guard, ..Table::default() }.run(received));
        std::thread::Builder::new().name("children".to_owned()).spawn(run)?;
        Ok(Self(orders))
    }

    /// Starts a command through the hidden subcommand, in a process group of its own, with both of its outputs
    /// into `output`. If the future is dropped the child is killed.
    pub(crate) async fn spawn(&self, command: Command, output: File) -> io::Result<Child> {
        self.spawn_into(command, output.into()).await
    }

    /// As [`Children::spawn`], into any descriptor.
    pub(crate) async fn spawn_into(&self, command: Command, output: OwnedFd) -> io::Result<Child> {
        let (started, answer) = oneshot::channel();
        self.order(Order::Spawn { command: Box::new(command), output, started }).await;
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the thread of the children has ended")))
    }

    /// Sends a signal to a child, if it has not ended.
    pub(crate) async fn signal(&self, pid: Pid, signal: Signal) {
        self.order(Order::Signal { pid, signal }).await;
    }

    /// Kills a child and all that descends from it. It is stopped first, so that it starts no other meanwhile.
    pub(crate) async fn kill_tree(&self, pid: Pid) {
        self.order(Order::KillTree { pid }).await;
    }

    /// Kills what ended children have left behind, and returns when nothing of it is there any more.
    pub(crate) async fn sweep(&self) {
        let (done, answer) = oneshot::channel();
        self.order(Order::Sweep { done }).await;
        let _ = answer.await;
    }

    /// The thread ends with the process alone, so that an order always finds it.
    async fn order(&self, order: Order) {
        let _ = self.0.send(order).await;
    }
}

impl Child {
    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its end. Cancel safe until it has answered.
    pub(crate) async fn exit(&mut self) -> Exit {
        (&mut self.exit).await.unwrap_or(Exit::Unknown)
    }
}

#[derive(Debug, Default)]
struct Table {
    running: BTreeMap<Pid, oneshot::Sender<Exit>>,
    sweeps: Vec<oneshot::Sender<()>>,
    guard: Guard,
}

impl Table {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut ended = match signal(SignalKind::child()) {
            Ok(ended) => ended,
            Err(error) => return tracing::error!(%error, "cannot hear of the end of children"),
        };
        let mut period = tokio::time::interval(PERIOD);
        let mut sweep = tokio::time::interval(SWEEP_PERIOD);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.follow(order),
                    None => return,
                },
                _ = ended.recv() => self.reap(),
                _ = period.tick() => { self.reap(); self.remove_orphans(); }
                _ = sweep.tick(), if !self.sweeps.is_empty() => self.remove_orphans(),
            }
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Spawn { command, output, started } => self.spawn(*command, output, started),
            Order::Signal { pid, signal } => self.signal(pid, signal),
            Order::KillTree { pid } => self.kill_tree(pid),
            Order::Sweep { done } => {
                self.sweeps.push(done);
                self.remove_orphans();
            }
        }
    }

    fn spawn(&mut self, command: Command, output: OwnedFd, started: oneshot::Sender<io::Result<Child>>) {
        let (ended, exit) = oneshot::channel();
        let child = spawn(command, output).map(|pid| Child { pid, exit });
        if let Ok(child) = &child {
            self.running.insert(child.pid, ended);
            self.guard.add(child.pid);
        }
        if let Err(Ok(unwanted)) = started.send(child) {
            self.kill_tree(unwanted.pid);
        }
    }

    fn signal(&self, pid: Pid, signal: Signal) {
        if self.running.contains_key(&pid) {
            // It may be ending at this moment.
            let _ = kill(pid, signal);
        }
    }

    fn kill_tree(&self, pid: Pid) {
        self.signal(pid, Signal::SIGSTOP);
        for descendant in machine::descendants(pid, &machine::processes()) {
            let _ = kill(descendant, Signal::SIGKILL);
        }
        self.signal(pid, Signal::SIGKILL);
    }

    fn reap(&mut self) {
        let exits: Vec<(Pid, Exit)> =
            self.running.keys().filter_map(|pid| Some((*pid, ended(*pid)?))).collect();
        for (pid, exit) in exits {
            self.guard.remove(pid);
            if let Some(waiting) = self.running.remove(&pid) {
                // Nobody may be interested any more.
                let _ = waiting.send(exit);
            }
        }
    }

    /// Orphans come to the subreaper as its children. They are those that this thread has not spawned and that are
    /// not in this process' own group, where the children of other code are.
    fn remove_orphans(&mut self) {
        let (own, group) = (getpid(), getpgrp());
        let orphans = machine::processes().into_iter().filter(|entry| {
            entry.parent == own && entry.group != group && !self.running.contains_key(&entry.pid)
        });
        let mut left = false;
        for orphan in orphans {
            let _ = kill(orphan.pid, Signal::SIGKILL);
            left |= ended(orphan.pid).is_none();
        }
        if !left {
            for done in self.sweeps.drain(..) {
                let _ = done.send(());
            }
        }
    }
}

fn spawn(command: Command, output: OwnedFd) -> io::Result<Pid> {
    let bond = Bond::Child { parent: getpid() };
    let twin = output.try_clone()?;
    let mut child = hidden::command(command.program.as_os_str(), command.account.as_ref(), bond);
    for name in command.environment_without {
        child.env_remove(name);
    }
    let child = child
        .args(command.arguments)
        .envs(command.environment)
        .current_dir(command.directory)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(twin)
        .process_group(0)
        .spawn()?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)
}

/// How a child ended, if it has ended. It is waited for by that, and its number is free afterwards.
fn ended(pid: Pid) -> Option<Exit> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(status) => Exit::of(status),
        Err(_) => Some(Exit::Unknown),
    }
}
