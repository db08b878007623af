//! The tasks that keep the table true: one follows the members and what was noted of endpoints, one asks the nodes.

use super::check::{self, Checks};
use super::table::Table;
use onefold_core::{Members, TaskGroup};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often gauges are set and idle connections closed.
const TICK: Duration = Duration::from_secs(1);

/// Between two checks that hints ask for: a node that closes each connection must not be asked each time.
const DOUBT_GAP: Duration = Duration::from_millis(20);

impl Table {
    /// Starts what keeps the table true: the reconciler and the checks. Both end with the group.
    pub(crate) fn start(
        self: &Arc<Self>,
        members: watch::Receiver<Members>,
        checks: Checks,
        tasks: &TaskGroup,
    ) {
        tasks.spawn("endpoints", self.clone().keep(members, tasks.stopping()));
        tasks.spawn("readiness checks", self.clone().ask(checks, tasks.stopping()));
    }

    async fn keep(self: Arc<Self>, mut members: watch::Receiver<Members>, stopping: CancellationToken) {
        let mut is_watched = true;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                changed = members.changed(), if is_watched => {
                    is_watched = changed.is_ok();
                    let members = members.borrow_and_update().clone();
                    self.reconcile(&members);
                }
                () = self.changed.notified() => self.publish(&self.roster.load_full().all),
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    async fn ask(self: Arc<Self>, checks: Checks, stopping: CancellationToken) {
        let mut silent = check::Silent::default();
        loop {
            let endpoints = self.roster.load_full();
            let found = check::all(&endpoints.all, checks, &mut silent).await;
            let now = self.settings.clock.now();
            for (endpoint, readiness) in found {
                if endpoint.set_readiness(readiness, now) {
                    tracing::info!(endpoint = %endpoint.member.name, ?readiness, "readiness changed");
                    self.changed.notify_one();
                }
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.doubted.notified() => tokio::time::sleep(DOUBT_GAP).await,
                () = tokio::time::sleep(checks.interval) => {}
            }
        }
    }
}
