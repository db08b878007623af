//! The life of one process: started, asked for readiness, watched, started again, stopped.

use super::board::Line;
use super::fall::{Fall, Scene};
use super::look;
use super::order::Order;
use super::readiness::{Patience, until_ready};
use super::stop::stop;
use super::ties::{Shared, Ties};
use crate::children::Child;
use crate::error::Error;
use crate::event::Event;
use crate::exit::Exit;
use crate::log::Log;
use crate::status::{Phase, millis};
use onefold_core::NodeName;
use onefold_core::process::{Process, ProcessError, Recall};
use onefold_core::retry::Backoff;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Between a death and the next start: the first is nearly at once, since most deaths are single.
const RESTART: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(20) };

/// A process that has worked for this long has left its crash loop.
const SOUND_AFTER: Duration = Duration::from_secs(10);

/// How long a process may take until it is ready for the first time. An engine may have much to recover.
const FIRST_READY_MAX: Duration = Duration::from_mins(3);

/// The same for a start that somebody has ordered and waits for: the process worked a moment ago.
const ORDERED_READY_MAX: Duration = Duration::from_mins(2);

/// How often one that was told to stop is asked whether it still takes work.
const STEP: Duration = Duration::from_millis(5);

/// What keeps one process alive.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    process: Arc<dyn Process>,
    line: Line,
    log: Log,
    child: Option<Child>,
    /// The size of the log when the present start began.
    log_start: u64,
    first: Option<oneshot::Sender<Result<(), Error>>>,
    /// Hears how an ordered start goes, while one does.
    ordered: Option<oneshot::Sender<Result<Duration, Error>>>,
    /// Hears when the process before this one, which had work to end, has ended.
    leaver: Option<oneshot::Receiver<()>>,
    deaths: u32,
    /// When the present start, or the wait for it, began: a death or the first start.
    since: Instant,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, process: Arc<dyn Process>, line: Line, log: Log) -> Self {
        let since = shared.clock.now();
        Self {
            shared,
            process,
            line,
            log,
            child: None,
            log_start: 0,
            first: None,
            ordered: None,
            leaver: None,
            deaths: 0,
            since,
        }
    }

    /// Keeps the process until it is told to stop, or until its first start fails.
    pub(crate) async fn run(mut self, ties: Ties) {
        let Ties { mut predecessors, first, mut orders, started, gone, stop, hurry } = ties;
        self.first = Some(first);
        let failure = tokio::select! {
            biased;
            () = stop.cancelled() => Error::Stopped,
            error = self.live(&mut predecessors, &started, &mut orders, &hurry) => error,
        };
        self.end(&hurry).await;
        if let Some(first) = self.first.take() {
            let _ = first.send(Err(failure));
        }
        gone.send_replace(true);
    }

    /// Ends only where the first start fails.
    async fn live(
        &mut self,
        predecessors: &mut [watch::Receiver<bool>],
        started: &watch::Sender<bool>,
        orders: &mut mpsc::Receiver<Order>,
        hurry: &CancellationToken,
    ) -> Error {
        for predecessor in predecessors {
            // A predecessor that ends before it is ready stops everything, this one too.
            let _ = predecessor.wait_for(|ready| *ready).await;
        }
        self.since = self.shared.clock.now();
        loop {
            let fall = match self.rise(orders).await {
                Ok(()) => {
                    self.note_ready().await;
                    started.send_replace(true);
                    self.watch(orders, hurry).await
                }
                Err(fall) => fall,
            };
            match self.judge(fall).await {
                Ok(pause) => {
                    self.hand_over().await;
                    self.rest(pause, orders).await;
                }
                Err(error) => return error,
            }
        }
    }

    /// One start, up to the process' own word that it is ready.
    async fn rise(&mut self, orders: &mut mpsc::Receiver<Order>) -> Result<(), Fall> {
        let patience = Patience::new(self.process.name().clone(), Arc::clone(&self.shared));
        let limit = match (&self.first, &self.ordered) {
            (Some(_), _) => FIRST_READY_MAX,
            (None, Some(_)) => ORDERED_READY_MAX,
            (None, None) => Duration::MAX,
        };
        let risen = tokio::select! {
            risen = tokio::time::timeout(limit, self.steps(&patience)) => risen,
            Some(order) = orders.recv() => return Err(self.accept(order)),
            never = patience.complain() => match never {},
        };
        risen.unwrap_or_else(|_| {
            let limit = limit.as_secs();
            Err(Fall::TooLate(format!("not ready after {limit} s: {}", patience.reason())))
        })
    }

    /// The pause between two starts, which an order ends.
    async fn rest(&mut self, pause: Duration, orders: &mut mpsc::Receiver<Order>) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Some(order) = orders.recv() => { self.accept(order); }
        }
    }

    /// What an order means for the present start or life. Earlier deaths do not count against it.
    fn accept(&mut self, order: Order) -> Fall {
        self.ordered = Some(order.done);
        self.deaths = 0;
        Fall::Recalled(Recall::Wanted(order.reason))
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
        let sockets = self.process.sockets();
        let spawned = self.shared.children.spawn(command, log.into(), sockets).await;
        let child = spawned.map_err(|error| {
            ProcessError::unusable(format!("cannot be spawned: {error}"), "free memory or processes")
        })?;
        let started_at_ms = millis(self.shared.clock.wall());
        let build = self.process.build();
        self.line.set(|line| {
            line.build = build;
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
        let role = look::ask_role(self.process.as_ref(), &self.line).await;
        self.line.set(|line| line.state = Phase::Ready);
        if let Some(first) = self.first.take() {
            self.shared.tell(Event::Ready { name, took });
            let _ = first.send(Ok(()));
            return;
        }
        if let Some(done) = self.ordered.take() {
            // Whoever ordered it may have gone.
            let _ = done.send(Ok(took));
        }
        self.shared.tell(Event::Restarted { name: name.clone(), took });
        if let Some((from, to)) = role {
            self.shared.tell(Event::Role { name, from, to });
        }
    }

    /// Waits for the process' end, and looks after it meanwhile. One that is broken is left to be cleared away.
    async fn watch(&mut self, orders: &mut mpsc::Receiver<Order>, hurry: &CancellationToken) -> Fall {
        let Self { child, process, line, log, shared, .. } = self;
        let Some(running) = child else { return Fall::Died(Exit::Unknown) };
        let pid = running.pid().as_raw().unsigned_abs();
        let fall = tokio::select! {
            biased;
            exit = running.exit() => Fall::Died(exit),
            recall = process.recalled(pid) => Fall::Recalled(recall),
            Some(order) = orders.recv() => {
                line.set(|line| line.state = Phase::Stopping);
                self.accept(order)
            }
            never = look::after(process.as_ref(), line, log, shared) => match never {},
        };
        let Self { child, process, shared, .. } = self;
        match (&fall, child.as_mut()) {
            (Fall::Recalled(Recall::Broken(_)), _) => return fall,
            (Fall::Recalled(Recall::Wanted(_)), Some(_)) if process.overlaps() => {
                self.step_aside(hurry).await;
            }
            (Fall::Recalled(Recall::Wanted(_)), Some(running)) => {
                stop(running, process.as_ref(), shared, hurry).await;
            }
            _ => {}
        }
        self.child = None;
        fall
    }

    /// Tells the process to stop, and returns once it takes no more work: it ends by itself while its successor starts.
    async fn step_aside(&mut self, hurry: &CancellationToken) {
        let Some(mut leaving) = self.child.take() else { return };
        let (process, shared, hurry) = (Arc::clone(&self.process), Arc::clone(&self.shared), hurry.clone());
        let (left, has_left) = oneshot::channel();
        self.shared.leavers.spawn("leaver", async move {
            stop(&mut leaving, process.as_ref(), &shared, &hurry).await;
            // The keeper itself may have gone.
            let _ = left.send(());
        });
        // One that was stepped aside for before has had its time: it is gone, or is killed at its own deadline.
        self.leaver = Some(has_left);
        let unready = async {
            while self.process.ready().await.is_ok() {
                tokio::time::sleep(STEP).await;
            }
        };
        let _ = tokio::time::timeout(self.process.stop().grace, unready).await;
    }

    /// What follows a fall: a pause and another start, or the end of a first start.
    async fn judge(&mut self, fall: Fall) -> Result<Duration, Error> {
        let now = self.shared.clock.now();
        if self.line.is_ready() && now.saturating_duration_since(self.since) >= SOUND_AFTER {
            self.deaths = 0;
        }
        let counts = u32::from(!fall.is_wanted());
        self.deaths = self.deaths.saturating_add(counts);
        self.since = now;
        self.clear_away().await;
        let (name, log_start, deaths) = (self.process.name(), self.log_start, self.deaths);
        let scene = Scene { name, log: &self.log, log_start, deaths, fall };
        if self.first.is_some()
            && let Some(error) = scene.failure()
        {
            return Err(error);
        }
        if !scene.fall.is_wanted()
            && let Some(done) = self.ordered.take()
        {
            match scene.failure() {
                Some(error) => drop(done.send(Err(error))),
                None => self.ordered = Some(done),
            }
        }
        let pause =
            if scene.fall.is_wanted() { Duration::ZERO } else { RESTART.delay(deaths - 1, &mut rand::rng()) };
        self.line.set(|line| {
            line.restarts = line.restarts.saturating_add(counts);
            line.state = scene.phase();
        });
        self.shared.tell(scene.event(pause));
        Ok(pause)
    }

    /// Lets others take over from a process that was ready before.
    async fn hand_over(&mut self) {
        if self.first.is_some() {
            return;
        }
        let patience = Patience::new(self.name(), Arc::clone(&self.shared));
        patience.note("what it did is being taken over".to_owned());
        tokio::select! {
            () = self.process.ended() => {}
            never = patience.complain() => match never {},
        }
        if let Some((from, to)) = look::ask_role(self.process.as_ref(), &self.line).await {
            self.shared.tell(Event::Role { name: self.name(), from, to });
        }
    }

    /// What the fallen one has left behind must be gone before its successor starts.
    async fn clear_away(&mut self) {
        // Kept until it has ended: a stop may come between.
        if let Some(child) = &mut self.child {
            self.shared.children.kill_tree(child.pid()).await;
            child.exit().await;
        }
        self.child = None;
        self.line.set(|line| line.pid = None);
        self.shared.children.sweep().await;
    }

    async fn end(&mut self, hurry: &CancellationToken) {
        self.line.set(|line| line.state = Phase::Stopping);
        self.process.retire();
        if let Some(child) = &mut self.child {
            stop(child, self.process.as_ref(), &self.shared, hurry).await;
        }
        self.child = None;
        if let Some(leaver) = self.leaver.take() {
            let _ = leaver.await;
        }
        self.shared.children.sweep().await;
        self.line.set(|line| line.pid = None);
    }

    fn name(&self) -> NodeName {
        self.process.name().clone()
    }
}
