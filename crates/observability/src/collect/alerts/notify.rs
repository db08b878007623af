//! Tells the receiver: compares what it knows with what holds, and sends the difference.
//!
//! There is no queue to fill or to lose: a message that did not arrive is made again from the states, which a restart
//! keeps, with backoff, until the receiver takes it.

use super::Inner;
use super::message::{Message, Origin};
use super::rules::Kind;
use super::state::{Instance, State, Words};
use super::webhook::Receiver;
use onefold_core::retry::Backoff;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_mins(1) };

/// What one rule's receiver should hear.
pub(super) struct News {
    group: usize,
    rule: usize,
    message: Message,
    told: Vec<(Words, State)>,
}

/// Runs until `stopping`.
pub(super) async fn run(alerts: Arc<Inner>, receiver: Receiver, stopping: CancellationToken) {
    let mut failures: HashMap<(usize, usize), (u32, Instant)> = HashMap::new();
    let mut changes = alerts.changes.subscribe();
    loop {
        for news in alerts.news() {
            let key = (news.group, news.rule);
            if stopping.is_cancelled()
                || failures.get(&key).is_some_and(|(_, next)| *next > alerts.clock.now())
            {
                continue;
            }
            let sent = alerts.send(&receiver, &news.message).await;
            if sent.is_ok() {
                failures.remove(&key);
                alerts.told(&news);
            } else {
                let (attempt, next) = failures.entry(key).or_insert((0, alerts.clock.now()));
                *next = alerts.clock.now() + BACKOFF.bound(*attempt);
                *attempt = attempt.saturating_add(1);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = changes.changed() => {}
            () = stopping.cancelled() => return,
        }
    }
}

impl Inner {
    /// For each rule with something to tell: all that fires, and what was resolved since.
    pub(super) fn news(&self) -> Vec<News> {
        let now_ms = self.now_ms();
        let board = self.board();
        let mut all = Vec::new();
        for (group, states) in board.states.iter().enumerate() {
            for (rule, state) in states.iter().enumerate() {
                let Kind::Alert(alert) = &self.groups[group].rules[rule].kind else { continue };
                let heard = |instance: &&Instance| board.silences.of(&instance.labels, now_ms).is_none();
                let audible = || state.instances.iter().filter(heard);
                if !audible().any(|instance| instance.is_due(now_ms)) {
                    continue;
                }
                let worth = |instance: &&Instance| instance.state == State::Firing || instance.is_due(now_ms);
                let instances: Vec<Instance> = audible().filter(worth).cloned().collect();
                let origin = Origin {
                    external_url: &self.external_url,
                    group: &self.groups[group].name,
                    expression: self.groups[group].rules[rule].query.text(),
                };
                let told =
                    instances.iter().map(|instance| (instance.labels.clone(), instance.state)).collect();
                all.push(News { group, rule, message: Message::new(&instances, &alert.name, &origin), told });
            }
        }
        all
    }

    /// Notes what the receiver knows now.
    fn told(&self, news: &News) {
        let now_ms = self.now_ms();
        for instance in &mut self.board().states[news.group][news.rule].instances {
            if let Some((_, state)) = news.told.iter().find(|(labels, _)| *labels == instance.labels) {
                instance.tell(*state, now_ms);
            }
        }
        self.save();
    }

    /// Sends a message once, and counts how that went.
    pub(super) async fn send(&self, receiver: &Receiver, message: &Message) -> Result<(), String> {
        let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        let sent = receiver.post(body).await;
        let notifications = &mut self.board().notifications;
        match &sent {
            Ok(()) => {
                notifications.sent += 1;
                notifications.last_error = None;
            }
            Err(error) => {
                if notifications.last_error.as_ref() != Some(error) {
                    tracing::warn!(error, "a notification did not arrive; it will be tried again");
                }
                notifications.failed += 1;
                notifications.last_error = Some(error.clone());
            }
        }
        sent
    }
}
