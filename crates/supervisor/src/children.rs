//! The children of this process: one thread spawns them, signals them and waits for them.
//!
//! One thread, because the parent-death signal fires when the *thread* that spawned ends, and because a signal may
//! only go to a process that nobody has waited for yet: its number may belong to another one afterwards. It lives
//! as long as the process. As child subreaper the process also inherits what its children leave behind.
//! Children that other code starts (in this process' own group) are left to it. As the first process of a container
//! it inherits every orphan there, and removes them too: the container is the system's.

mod stall;
mod table;

use crate::exit::Exit;
use crate::guard::Guard;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use onefold_core::process::Command;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use table::Table;
use tokio::sync::{mpsc, oneshot};

/// Orders that wait for the thread. Who finds it full waits as well.
const ORDERS_MAX: usize = 64;

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
    Spawn {
        command: Box<Command>,
        output: OwnedFd,
        sockets: Arc<[TcpListener]>,
        started: oneshot::Sender<io::Result<Child>>,
    },
    Signal {
        pid: Pid,
        signal: Signal,
    },
    KillTree {
        pid: Pid,
    },
    Pause {
        pid: Pid,
        done: oneshot::Sender<io::Result<()>>,
    },
    Resume {
        pid: Pid,
    },
    Sweep {
        done: oneshot::Sender<()>,
    },
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
        let run = move || runtime.block_on(Table::new(guard).run(received));
        std::thread::Builder::new().name("children".to_owned()).spawn(run)?;
        Ok(Self(orders))
    }

    /// Starts a command through the hidden subcommand, in a process group of its own, with both of its outputs
    /// into `output`; it inherits `sockets`. If the future is dropped the child is killed.
    pub(crate) async fn spawn(
        &self,
        command: Command,
        output: OwnedFd,
        sockets: Arc<[TcpListener]>,
    ) -> io::Result<Child> {
        let (started, answer) = oneshot::channel();
        self.order(Order::Spawn { command: Box::new(command), output, sockets, started }).await;
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

    /// Stops a child and all that descends from it, until it is resumed, or killed.
    pub(crate) async fn pause(&self, pid: Pid) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.order(Order::Pause { pid, done }).await;
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the thread of the children has ended")))
    }

    /// Lets a child that was paused go on.
    pub(crate) async fn resume(&self, pid: Pid) {
        self.order(Order::Resume { pid }).await;
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
