//! What one node at a time does for the queue: rescue, cron, upkeep, counting.
//!
//! Two leaders at once do no harm: every one of these is safe to do twice. So leadership is only told, not
//! fenced.

use crate::admin::Admin;
use crate::complaint::Complaint;
use crate::cron::Schedule;
use crate::metrics::Led;
use crate::{Config, Error, Queue};
use chrono::{DateTime, TimeDelta, Utc};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// How often the leader looks for workers whose lease has ended.
const RESCUE_EVERY: Duration = Duration::from_secs(1);
/// How often the leader makes and drops days of history and inbox.
const TIDY_EVERY: Duration = Duration::from_hours(1);
/// How long the leader rests at most between two looks at its schedules, since clocks are set. A look costs
/// nothing.
const CRON_REST_MAX: Duration = Duration::from_secs(1);
/// How soon what failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Does the queue's leader's work while this node leads.
#[derive(Debug)]
pub struct Leader {
    queue: Queue,
    admin: Admin,
    schedules: Vec<Schedule>,
    config: Config,
    led: Led,
    clock: Clock,
}

impl Leader {
    /// Over a queue and its engine's ledger.
    pub fn new(
        queue: Queue,
        admin: Admin,
        schedules: Vec<Schedule>,
        config: Config,
        metrics: &Metrics,
        clock: Clock,
    ) -> Self {
        Self { queue, admin, schedules, config, led: Led::new(metrics), clock }
    }

    /// Starts its task: it works while `leading` is true.
    ///
    /// # Errors
    /// [`Error::UnknownKind`] and [`Error::TooLarge`] where a schedule's job could not be enqueued.
    pub fn start(self, mut leading: watch::Receiver<bool>, tasks: &TaskGroup) -> Result<(), Error> {
        for schedule in &self.schedules {
            self.queue.admit(schedule.job())?;
        }
        let stopping = tasks.stopping();
        tasks.spawn("queue-leader", async move {
            stopping.run_until_cancelled(self.serve(&mut leading)).await;
        });
        Ok(())
    }

    async fn serve(&self, leading: &mut watch::Receiver<bool>) {
        while leading.wait_for(|leading| *leading).await.is_ok() {
            let mut until = leading.clone();
            tokio::select! {
                _ = until.wait_for(|leading| !leading) => {}
                () = self.lead() => {}
            }
            // Somebody else counts from now on.
            self.led.backlog.show(&[]);
        }
    }

    /// All of it, each at its own pace. Never ends; may be dropped anywhere.
    async fn lead(&self) {
        tokio::join!(
            self.every(RESCUE_EVERY, "rescue jobs", || self.rescue()),
            self.every(TIDY_EVERY, "tidy the queue", || self.tidy()),
            self.every(self.config.count_every, "count jobs", || self.count()),
            self.cron(),
        );
    }

    async fn rescue(&self) -> Result<(), Error> {
        let rescued = self.queue.store().rescue().await?;
        if rescued.workers > 0 {
            tracing::warn!(
                workers = rescued.workers,
                jobs = rescued.freed.len(),
                dead = rescued.dead.len(),
                "rescued the jobs of workers whose lease had ended"
            );
        }
        self.led.rescued.inc_by(rescued.freed.len() as u64);
        self.led.died.inc_by(rescued.dead.len() as u64);
        let mut queues = rescued.freed;
        queues.sort_unstable();
        queues.dedup();
        for queue in &queues {
            self.queue.wake(queue);
        }
        Ok(())
    }

    async fn tidy(&self) -> Result<(), Error> {
        self.queue.store().tidy(self.config.retention()).await
    }

    async fn count(&self) -> Result<(), Error> {
        self.led.backlog.show(&self.admin.depths().await?);
        for vital in self.admin.vitals().await? {
            self.led.vital(&vital);
        }
        Ok(())
    }

    /// Fires what is due, again after every failure from what the engine knows.
    async fn cron(&self) {
        let mut complaint = Complaint::default();
        loop {
            if let Err(error) = self.keep_time().await
                && complaint.is_due(self.clock.now())
            {
                tracing::warn!("fire schedules: {error}; tried again");
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// Does `act` at once and then at every `period`; what fails is tried again soon, and told of now and then. Never
    /// ends.
    async fn every<F>(&self, period: Duration, what: &'static str, mut act: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), Error>>,
    {
        let mut complaint = Complaint::default();
        loop {
            let rest = match act().await {
                Ok(()) => {
                    complaint = Complaint::default();
                    period
                }
                Err(error) => {
                    if complaint.is_due(self.clock.now()) {
                        tracing::warn!("{what}: {error}; tried again");
                    }
                    RETRY_AFTER.min(period)
                }
            };
            tokio::time::sleep(rest).await;
        }
    }

    /// Fires each tick as it comes. The last ticks are read once: a twin's firing is noticed by the claim.
    async fn keep_time(&self) -> Result<(), Error> {
        let mut last = Vec::with_capacity(self.schedules.len());
        for schedule in &self.schedules {
            last.push(self.queue.store().schedule(schedule.name(), self.now()).await?);
        }
        loop {
            let now = self.now();
            for (schedule, last) in self.schedules.iter().zip(&mut last) {
                if let Some(tick) = schedule.due(*last, now) {
                    self.fire(schedule, tick).await?;
                    *last = tick;
                }
            }
            let next = self.schedules.iter().filter_map(|schedule| schedule.next(now)).min();
            tokio::time::sleep(next.map_or(CRON_REST_MAX, |next| self.until(next)).min(CRON_REST_MAX)).await;
        }
    }

    async fn fire(&self, schedule: &Schedule, tick: DateTime<Utc>) -> Result<(), Error> {
        let job = self.queue.admit(schedule.job())?;
        let fired = self.queue.store().fire(schedule.name(), tick, job).await?;
        if let Some(enqueued) = fired {
            tracing::info!(schedule = schedule.name(), %tick, job = ?enqueued, "schedule fired");
            self.led.fired.inc();
            self.queue.wake(&schedule.job().queue);
        }
        Ok(())
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.wall().into()
    }

    /// A moment more than the rest, so that the tick is not missed by a timer that is early.
    fn until(&self, tick: DateTime<Utc>) -> Duration {
        (tick - self.now() + TimeDelta::milliseconds(1)).to_std().unwrap_or_default()
    }
}
