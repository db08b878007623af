//! The thread of the children: it follows orders, and learns of every end.

use super::stall::Stalls;
use super::{Child, Order};
use crate::exit::Exit;
use crate::guard::Guard;
use crate::hidden::{self, Bond};
use crate::inheritance;
use crate::machine;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpgrp, getpid};
use onefold_core::process::Command;
use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// How often the table is looked through even if no signal says so.
const PERIOD: Duration = Duration::from_secs(2);

/// How often it is looked through while orphans are being removed.
const SWEEP_PERIOD: Duration = Duration::from_millis(3);

#[derive(Debug, Default)]
pub(super) struct Table {
    running: BTreeMap<Pid, oneshot::Sender<Exit>>,
    sweeps: Vec<oneshot::Sender<()>>,
    guard: Guard,
    stalls: Stalls,
}

impl Table {
    pub(super) fn new(guard: Guard) -> Self {
        Self { guard, ..Self::default() }
    }

    /// Lives as long as the process.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
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
            Order::Spawn { command, output, sockets, started } => {
                self.enter(spawn(*command, output, &sockets), started);
            }
            Order::Signal { pid, signal } => self.signal(pid, signal),
            Order::KillTree { pid } => self.kill_tree(pid),
            Order::Pause { pid, done } => {
                // Who asked may have gone.
                let _ = done.send(self.pause(pid));
            }
            Order::Resume { pid } => self.stalls.resume(pid),
            Order::Sweep { done } => {
                self.sweeps.push(done);
                self.remove_orphans();
            }
        }
    }

    fn enter(&mut self, spawned: io::Result<Pid>, started: oneshot::Sender<io::Result<Child>>) {
        let (ended, exit) = oneshot::channel();
        let child = spawned.map(|pid| Child { pid, exit });
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

    fn pause(&mut self, pid: Pid) -> io::Result<()> {
        if self.running.contains_key(&pid) {
            self.stalls.pause(pid)
        } else {
            Err(io::ErrorKind::NotFound.into())
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
            self.stalls.forget(pid);
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
            entry.parent == own
                && entry.group != group
                && !self.running.contains_key(&entry.pid)
                && !self.stalls.is_guard(entry.pid)
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

fn spawn(command: Command, output: OwnedFd, sockets: &[TcpListener]) -> io::Result<Pid> {
    let bond = Bond::Child { parent: getpid() };
    let twin = output.try_clone()?;
    let mut child = hidden::command(command.program.as_os_str(), command.account.as_ref(), bond);
    for name in command.environment_without {
        child.env_remove(name);
    }
    inheritance::hand_over(&mut child, sockets)?;
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
