//! Sends acknowledgements: those that are owed by commits, and the word that a message is worked on.
//!
//! JetStream takes the words of one connection to one consumer in their order, so that the answer to the last
//! says that it has heard them all.

use super::claims::split;
use super::hand::{Debt, Hand, Word};
use super::server::causes;
use super::store::Nats;
use super::streams::ACK_WAIT;
use super::{ends, sql};
use crate::Error;
use futures_util::future::try_join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often what could not be paid is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How often JetStream hears that messages are worked on. Those that were taken within the last half of it are not
/// spoken of: quick jobs cost no word, and none stays unspoken of for more than half of the time that it waits.
const TELL_EVERY: Duration = Duration::from_millis(1500);

/// Pays what is owed, at once when a handler's commit says so and again after a failure, until it is told to stop.
pub(super) async fn run(nats: Nats, stopping: CancellationToken) {
    let mut told = nats.0.clock.now();
    loop {
        tokio::select! {
            () = nats.0.owes.notified() => {}
            () = tokio::time::sleep(AGAIN_AFTER) => {}
            () = stopping.cancelled() => break,
        }
        let now = nats.0.clock.now();
        for hand in nats.hands() {
            nats.square(&hand).await;
        }
        if now.saturating_duration_since(told) >= TELL_EVERY && nats.keep_working(now).await {
            told = now;
        }
    }
    for hand in nats.hands() {
        nats.square(&hand).await;
    }
}

const _: () = assert!(TELL_EVERY.as_millis() * 2 < ACK_WAIT.as_millis());

impl Nats {
    /// Notes completions in their claims, and pays. What fails is owed still.
    pub(super) async fn square(&self, hand: &Hand) {
        if let Err(error) = ends::note_completed(self, hand).await {
            tracing::debug!("note completed jobs: {error}; tried again");
        }
        self.pay(hand).await;
    }

    /// Pays what a worker owes. What fails is owed still: it is tried again, and until then the claim says that
    /// the job has ended, whatever JetStream believes.
    pub(super) async fn pay(&self, hand: &Hand) {
        let debts = hand.take_debts();
        if debts.is_empty() {
            return;
        }
        if let Err(error) = self.send(&debts).await {
            tracing::debug!(messages = debts.len(), "acknowledge: {error}; tried again");
            hand.owe(debts);
            return;
        }
        let closed = hand.paid(&debts);
        if let Err(error) = self.close(hand, &closed).await {
            // It is removed with its worker's other claims.
            tracing::debug!(claims = closed.len(), "close claims: {error}");
        }
    }

    async fn close(&self, hand: &Hand, claims: &[i32]) -> Result<(), Error> {
        if !claims.is_empty() {
            self.0.database.shared().await?.query(sql::CLOSE, &[&claims, &hand.worker.0]).await?;
        }
        Ok(())
    }

    /// Sends words and waits until the server has heard them all.
    pub(super) async fn send(&self, debts: &[Debt]) -> Result<(), Error> {
        if debts.is_empty() {
            return Ok(());
        }
        let server = &self.0.streams.server;
        server.ready().await?;
        let mut last = HashMap::new();
        for (index, debt) in debts.iter().enumerate() {
            last.insert(split(&debt.address).map_or("", |(carrier, _)| carrier), index);
        }
        for (index, debt) in debts.iter().enumerate() {
            if !last.values().any(|last| *last == index) {
                let sent = server.client.publish(debt.address.clone(), debt.word.bytes().into()).await;
                sent.map_err(|error| server.failed(causes(&error)))?;
            }
        }
        let confirmed = last.into_values().map(|index| {
            let debt = &debts[index];
            server.client.request(debt.address.clone(), debt.word.bytes().into())
        });
        try_join_all(confirmed).await.map_err(|error| server.failed(causes(&error)))?;
        Ok(())
    }

    /// Says of what has been held for a while that it is worked on. Whether it could be said.
    async fn keep_working(&self, now: Instant) -> bool {
        let server = &self.0.streams.server;
        if !server.is_connected() {
            return false;
        }
        let Some(before) = now.checked_sub(TELL_EVERY / 2) else { return true };
        for address in self.hands().iter().flat_map(|hand: &Arc<Hand>| hand.addresses(before)) {
            if server.client.publish(address, Word::Working.bytes().into()).await.is_err() {
                return false;
            }
        }
        true
    }
}
