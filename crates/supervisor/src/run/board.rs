//! The status of all processes, kept in `run/status.json`.

use crate::event::Event;
use crate::state::private;
use crate::status::{self, Phase, ProcessStatus, Status};
use onefold_core::NodeName;
use onefold_core::process::Process;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Changes that come within this time of each other are written at once.
const GATHER: Duration = Duration::from_millis(20);

/// Where everybody writes what they know, and readers see the whole.
#[derive(Clone, Debug)]
pub(crate) struct Board(Arc<watch::Sender<Status>>);

impl Board {
    pub(crate) fn new(started_at_ms: u64) -> Self {
        Self(Arc::new(watch::Sender::new(Status::beginning(std::process::id(), started_at_ms))))
    }

    /// Adds a process that is about to be started.
    pub(crate) fn add(&self, process: &dyn Process, role: String) -> Line {
        let status = ProcessStatus {
            name: process.name().clone(),
            role,
            zone: process.zone().cloned(),
            pid: None,
            state: Phase::Starting,
            address: process.address(),
            admin: process.admin(),
            build: None,
            restarts: 0,
            started_at_ms: None,
        };
        self.0.send_modify(|all| all.processes.push(status));
        Line { board: self.clone(), name: process.name().clone() }
    }

    /// Says how far the whole is.
    pub(crate) fn set(&self, state: Phase) {
        self.0.send_modify(|all| all.state = state);
    }

    /// What stands there now, and every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.0.subscribe()
    }

    /// Writes every change into the file, the last one when it is told to stop.
    pub(crate) async fn keep(
        self,
        directory: PathBuf,
        events: mpsc::Sender<Event>,
        stopping: CancellationToken,
    ) {
        let mut changes = self.watch();
        let path = status::path(&directory);
        let mut troubled = false;
        loop {
            let status = changes.borrow_and_update().clone();
            let bytes = serde_json::to_vec_pretty(&status).map_err(std::io::Error::from);
            let written = bytes.and_then(|bytes| private::replace(&path, &bytes));
            if let Err(error) = &written
                && !troubled
            {
                let trouble =
                    format!("cannot write {}: {error}; `status` shows what was before", path.display());
                // A full channel means that nobody reads it.
                let _ = events.try_send(Event::Trouble(trouble));
            }
            troubled = written.is_err();
            let last = stopping.is_cancelled() && !changes.has_changed().unwrap_or(false);
            if last {
                return;
            }
            tokio::select! {
                // The board holds a sender itself, so that there is always one.
                _ = changes.changed() => tokio::time::sleep(GATHER).await,
                () = stopping.cancelled() => {}
            }
        }
    }
}

/// The line of one process on the board.
#[derive(Debug)]
pub(crate) struct Line {
    board: Board,
    name: NodeName,
}

impl Line {
    /// Changes the line; readers hear of it only if it differs.
    pub(crate) fn set(&self, change: impl FnOnce(&mut ProcessStatus)) {
        self.board.0.send_if_modified(|all| {
            let Some(line) = all.processes.iter_mut().find(|process| process.name == self.name) else {
                return false;
            };
            let before = line.clone();
            change(line);
            *line != before
        });
    }

    /// The role that stands there.
    pub(crate) fn role(&self) -> String {
        self.read(|line| line.role.clone()).unwrap_or_default()
    }

    /// How far the process is.
    pub(crate) fn is_ready(&self) -> bool {
        self.read(|line| line.state == Phase::Ready).unwrap_or(false)
    }

    fn read<T>(&self, read: impl FnOnce(&ProcessStatus) -> T) -> Option<T> {
        self.board.0.borrow().processes.iter().find(|process| process.name == self.name).map(read)
    }
}
