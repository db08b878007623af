//! The life of one process: started, asked for readiness, watched, started again, stopped.

use super::board::Line;
use super::readiness::{Patience, until_ready};
use crate::children::{Child, Children};
use crate::error::Error;
use crate::event::Event;
use crate::exit::Exit;
use crate::log::Log;
use crate::status::{Phase, millis};
use nix::sys::signal::Signal;
use onefold_core::process::{Process, ProcessError, StopSignal};
use onefold_core::retry::Backoff;
use onefold_core::{Clock, NodeName};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Between a death and the next start: the first is nearly at once, since most deaths are single.
const RESTART: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(20) };

/// A process that has worked for this long has left its crash loop.
const SOUND_AFTER: Duration = Duration::from_secs(10);

/// A process that was never ready is given up after so many deaths; one that was is shown as failed.
const FIRST_DEATHS_MAX: u32 = 3;
const DEATHS_SHOWN: u32 = 5;

/// How long a process may take until it is ready for the first time. An engine may have much to recover.
const FIRST_READY_MAX: Duration = Duration::from_mins(3);

/// How often a running process is asked for its role, and its log is looked at.
const ROLE_PERIOD: Duration = Duration::from_secs(2);
const ROLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The exit status by which a program says that its command line or configuration is wrong.
const MISCONFIGURED: Exit = Exit::Status(2);

/// What the keepers of one system share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) children: Children,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) clock: Clock,
}

impl Shared {
    /// Events are news, the status is the truth: where nobody reads them they are dropped.
    pub(crate) fn tell(&self, event: Event) {
        if let Err(error) = self.events.try_send(event) {
            tracing::debug!(%error, "an event is not read");
        }
    }
}

/// What ties a keeper to the supervisor.
#[derive(Debug)]
pub(crate) struct Ties {
    /// True, once and for all, when those that come before are ready.
    pub(crate) predecessors: Vec<watch::Receiver<bool>>,
    /// Hears how the first start went.
    pub(crate) first: oneshot::Sender<Result<(), Error>>,
    /// Set to true after the first start.
    pub(crate) started: watch::Sender<bool>,
    /// Set to true when the process has gone for good.
    pub(crate) gone: watch::Sender<bool>,
    /// Tells the process to stop.
    pub(crate) stop: CancellationToken,
    /// Ends the grace of a stop.
    pub(crate) hurry: CancellationToken,
}

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    process: Arc<dyn Process>,
    line: Line,
    log: Log,
    child: Option<Child>,
    /// The size of the log when the present start began.
    log_start: u64,
    first: Option<oneshot::Sender<Result<(), Error>>>,
    deaths: u32,
    /// When the present start, or the wait for it, began: a death or the first start.
    since: Instant,
}

/// Why a start, or a life, came to its end.
enum Fall {
    Died(Exit),
    Unusable(ProcessError),
    TooLate(String),
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, process: Arc<dyn Process>, line: Line, log: Log) -> Self {
        let since = shared.clock.now();
        Self { shared, process, line, log, child: None, log_start: 0, first: None, deaths: 0, since }
    }

    /// Keeps the process until it is told to stop, or until its first start fails.
    pub(crate) async fn run(mut self, ties: Ties) {
        self.first = Some(ties.first);
        let mut predecessors = ties.predecessors;
        let failure = tokio::select! {
            biased;
            () = ties.stop.cancelled() => Error::Stopped,
            error = self.live(&mut predecessors, &ties.started) => error,
        };
        self.end(&ties.hurry).await;
        if let Some(first) = self.first.take() {
            let _ = first.send(Err(failure));
        }
        ties.gone.send_replace(true);
    }

    /// Ends only where the first start fails.
    async fn live(
        &mut self,
        predecessors: &mut [watch::Receiver<bool>],
        started: &watch::Sender<bool>,
    ) -> Error {
        for predecessor in predecessors {
            // A predecessor that ends before it is ready stops everything, this one too.
            let _ = predecessor.wait_for(|ready| *ready).await;
        }
        self.since = self.shared.clock.now();
        loop {
            let fall = match self.rise().await {
                Ok(()) => {
                    self.note_ready().await;
                    started.send_replace(true);
                    self.watch().await
                }
                Err(fall) => fall,
            };
            match self.judge(fall).await {
                Ok(pause) => tokio::time::sleep(pause).await,
                Err(error) => return error,
            }
        }
    }

    /// One start, up to the process' own word that it is ready.
    async fn rise(&mut self) -> Result<(), Fall> {
        let patience = Patience::new(self.process.name().clone(), Arc::clone(&self.shared));
        let limit = if self.first.is_some() { FIRST_READY_MAX } else { Duration::MAX };
        let risen = tokio::select! {
            risen = tokio::time::timeout(limit, self.steps(&patience)) => risen,
            never = patience.complain() => match never {},
        };
        risen.unwrap_or_else(|_| {
            let limit = FIRST_READY_MAX.as_secs();
            Err(Fall::TooLate(format!("not ready after {limit} s: {}", patience.reason())))
        })
    }

    async fn steps(&mut self, patience: &Patience) -> Result<(), Fall> {
        let process = Arc::clone(&self.process);
        let children = self.shared.children.clone();
        patience.note("it is being prepared".to_owned());
        until_ready(|| process.prepare(&children), patience).await.map_err(Fall::Unusable)?;
        patience.note("it does not answer yet".to_owned());
        self.spawn().await.map_err(Fall::Unusable)?;
        let is_first = self.first.is_some();
        let answers = async {
            until_ready(|| process.ready(), patience).await?;
            if is_first { until_ready(|| process.started(), patience).await } else { Ok(()) }
        };
        let exit = async {
            match &mut self.child {
                Some(child) => child.exit().await,
                None => Exit::Unknown,
            }
        };
        let exit = tokio::select! {
            exit = exit => exit,
            ready = answers => return ready.map_err(Fall::Unusable),
        };
        self.child = None;
        Err(Fall::Died(exit))
    }

    async fn spawn(&mut self) -> Result<(), ProcessError> {
        let command = self.process.command();
        if command.program.is_absolute() && !command.program.exists() {
            let problem = format!("{} does not exist", command.program.display());
            return Err(ProcessError::unusable(problem, "build or install it"));
        }
        self.log_start = self.log.bytes();
        let log = self.log.open().map_err(|error| {
            let problem = format!("cannot write {}: {error}", self.log.path().display());
            ProcessError::unusable(problem, "make it writable, or free some space")
        })?;
        let spawned = self.shared.children.spawn(command, log).await;
        let child = spawned.map_err(|error| {
            ProcessError::unusable(format!("cannot be spawned: {error}"), "free memory or processes")
        })?;
        let started_at_ms = millis(self.shared.clock.wall());
        self.line.set(|line| {
            line.pid = u32::try_from(child.pid().as_raw()).ok();
            line.started_at_ms = Some(started_at_ms);
        });
        self.child = Some(child);
        Ok(())
    }

    async fn note_ready(&mut self) {
        let (name, now) = (self.name(), self.shared.clock.now());
        let took = now.saturating_duration_since(self.since);
        self.since = now;
        self.ask_role().await;
        self.line.set(|line| line.state = Phase::Ready);
        match self.first.take() {
            Some(first) => {
                self.shared.tell(Event::Ready { name, took });
                let _ = first.send(Ok(()));
            }
            None => self.shared.tell(Event::Restarted { name, took }),
        }
    }

    /// Waits for the process' end, and looks after its role and its log meanwhile.
    async fn watch(&mut self) -> Fall {
        let mut period = tokio::time::interval(ROLE_PERIOD);
        period.tick().await;
        while let Some(child) = &mut self.child {
            tokio::select! {
                exit = child.exit() => {
                    self.child = None;
                    return Fall::Died(exit);
                }
                _ = period.tick() => {}
            }
            self.ask_role().await;
            if let Err(error) = self.log.bound() {
                tracing::warn!(%error, log = %self.log.path().display(), "cannot bound the log");
            }
        }
        Fall::Died(Exit::Unknown)
    }

    async fn ask_role(&self) {
        let Ok(to) = tokio::time::timeout(ROLE_TIMEOUT, self.process.role()).await else { return };
        let from = self.line.role();
        if from != to {
            self.line.set(|line| line.role.clone_from(&to));
            if self.first.is_none() {
                self.shared.tell(Event::Role { name: self.name(), from, to });
            }
        }
    }

    /// What follows a fall: a pause and another start, or the end of a first start.
    async fn judge(&mut self, fall: Fall) -> Result<Duration, Error> {
        let now = self.shared.clock.now();
        if self.line.is_ready() && now.saturating_duration_since(self.since) >= SOUND_AFTER {
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        self.since = now;
        self.clear_away().await;
        if self.first.is_some() {
            self.judge_first(&fall)?;
        }
        let pause = RESTART.delay(self.deaths - 1, &mut rand::rng());
        self.show(fall, pause);
        Ok(pause)
    }

    /// What the fallen one has left behind must be gone before its successor starts.
    async fn clear_away(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.shared.children.kill_tree(child.pid()).await;
            child.exit().await;
        }
        self.line.set(|line| line.pid = None);
        self.shared.children.sweep().await;
    }

    fn judge_first(&self, fall: &Fall) -> Result<(), Error> {
        let not_started = |reason: String, misconfigured| Error::NotStarted {
            name: self.name(),
            reason,
            log: self.log.path().to_owned(),
            lines: self.log.tail(self.log_start),
            misconfigured,
        };
        match fall {
            Fall::Unusable(ProcessError::Unusable { problem, fix }) => {
                let source = ProcessError::unusable(problem, fix);
                Err(Error::Unusable { name: self.name(), source })
            }
            Fall::Unusable(other) => Err(not_started(other.to_string(), false)),
            Fall::TooLate(reason) => Err(not_started(reason.clone(), false)),
            Fall::Died(exit) if *exit == MISCONFIGURED => Err(not_started(exit.to_string(), true)),
            Fall::Died(exit) if self.deaths >= FIRST_DEATHS_MAX => Err(not_started(exit.to_string(), false)),
            Fall::Died(_) => Ok(()),
        }
    }

    fn show(&self, fall: Fall, restart_in: Duration) {
        let name = self.name();
        let failed = self.deaths >= DEATHS_SHOWN || !matches!(fall, Fall::Died(_));
        self.line.set(|line| {
            line.restarts = line.restarts.saturating_add(1);
            line.state = if failed { Phase::Failed } else { Phase::Restarting };
        });
        match fall {
            Fall::Died(_) if self.deaths == DEATHS_SHOWN => self.shared.tell(Event::CrashLoop {
                name,
                deaths: self.deaths,
                log: self.log.path().to_owned(),
                lines: self.log.tail(self.log_start),
            }),
            Fall::Died(exit) => self.shared.tell(Event::Died { name, exit, restart_in }),
            Fall::TooLate(reason) => self.shared.tell(Event::Hindered { name, reason }),
            Fall::Unusable(error) => self.shared.tell(Event::Hindered { name, reason: error.to_string() }),
        }
    }

    /// Stops the process: asked first, killed with its tree when its grace is over.
    async fn end(&mut self, hurry: &CancellationToken) {
        if let Some(mut child) = self.child.take() {
            self.line.set(|line| line.state = Phase::Stopping);
            let stop = self.process.stop();
            let signal = match stop.signal {
                StopSignal::Terminate => Signal::SIGTERM,
                StopSignal::Interrupt => Signal::SIGINT,
            };
            self.shared.children.signal(child.pid(), signal).await;
            // A paused process hears no signal but this one.
            self.shared.children.signal(child.pid(), Signal::SIGCONT).await;
            let in_time = tokio::select! {
                _ = child.exit() => true,
                () = tokio::time::sleep(stop.grace) => false,
                () = hurry.cancelled() => false,
            };
            if !in_time {
                self.shared.tell(Event::Killed { name: self.name(), grace: stop.grace });
                self.shared.children.kill_tree(child.pid()).await;
                child.exit().await;
            }
            self.shared.children.sweep().await;
        }
        self.line.set(|line| {
            line.pid = None;
            line.state = Phase::Stopping;
        });
    }

    fn name(&self) -> NodeName {
        self.process.name().clone()
    }
}
