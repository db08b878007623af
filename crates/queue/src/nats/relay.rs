//! Carries due jobs from their rows into the streams.
//!
//! One pass is one transaction: it takes due rows, publishes them, waits for every acknowledgement, and commits.
//! What fails is rolled back, and the rows are there for the next pass, of any node's relay; what had been stored
//! by then is published again under its `Nats-Msg-Id`, and JetStream drops it. Rows are taken by `SKIP LOCKED`, so
//! that each node relays what it has enqueued, and the others what a dead one has left.
//!
//! A relay works when its own node has enqueued something or put it back, when it hears of a row that nobody's relay
//! knows (a dead letter that a person replays), and when the next row that it knows of is due. The poll is the net.

use super::parcel::Parcel;
use super::server::{CALL_MAX, causes};
use super::sql;
use super::store::Nats;
use super::streams::System;
use crate::{Error, Store as _};
use async_nats::jetstream::message::PublishMessage;
use futures_util::future::join_all;
use onefold_core::metrics::{Counter, Histogram, Metrics};
use onefold_core::retry::Backoff;
use onefold_database::Heard;
use rand::RngExt as _;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Messages of one pass: so many are in flight at most.
const WINDOW: usize = 1000;
/// How often a relay that nobody wakes looks for what others have left, ± 20 %.
const IDLE: Duration = Duration::from_secs(5);
/// The channel on which processes without a relay tell of rows that are due.
pub(super) const CHANNEL: &str = "onefold_queue_due";
/// How long a queue whose stream refuses is left alone, while others go on.
const AVOID: Duration = Duration::from_secs(2);
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(2) };

/// What a relay counts.
#[derive(Clone, Debug)]
struct Meters {
    relayed: Counter,
    failed: Counter,
    seconds: Histogram,
}

/// One node's relay, or one of two.
pub(super) struct Relay {
    nats: Nats,
    meters: Meters,
    /// Queues whose streams refuse, and until when.
    avoided: HashMap<String, Instant>,
}

/// How a pass went.
enum Pass {
    /// It took as many as it may: there are more.
    Full,
    /// It took what there was; the next row is due then.
    Dry(Option<Duration>),
}

impl Relay {
    pub(super) fn new(nats: Nats, metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.counter(name, help, &[]);
        let meters = Meters {
            relayed: counter("onefold_queue_relayed", "Jobs that the relay has brought into a stream."),
            failed: counter("onefold_queue_relay_errors", "Passes of the relay that were rolled back."),
            seconds: metrics.latency(
                "onefold_queue_relay_seconds",
                "How long a pass of the relay took.",
                &[],
            ),
        };
        Self { nats, meters, avoided: HashMap::new() }
    }

    /// Relays until it is told to stop; a pass under way then ends.
    pub(super) async fn run(mut self, stopping: CancellationToken) {
        let mut failures = 0;
        while !stopping.is_cancelled() {
            let rest = match self.pass().await {
                Ok(Pass::Full) => {
                    failures = 0;
                    // A second relay works while this one waits for its acknowledgements.
                    self.nats.0.due.notify_one();
                    continue;
                }
                Ok(Pass::Dry(next)) => {
                    failures = 0;
                    let idle = IDLE.mul_f64(rand::rng().random_range(0.8..1.2));
                    next.map_or(idle, |next| next.clamp(Duration::from_millis(1), idle))
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!("relay jobs: {error}; they are kept in the database, and tried again");
                    }
                    failures += 1;
                    self.meters.failed.inc();
                    RETRY.delay(failures, &mut rand::rng())
                }
            };
            tokio::select! {
                () = self.nats.0.due.notified(), if failures == 0 => {}
                () = tokio::time::sleep(rest) => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    async fn pass(&mut self) -> Result<Pass, Error> {
        self.nats.0.streams.server.ready().await?;
        let now = self.nats.0.clock.now();
        self.avoided.retain(|_, until| *until > now);
        let avoided: Vec<&str> = self.avoided.keys().map(String::as_str).collect();
        let mut tx = self.nats.begin().await?;
        let mut parcels: Vec<Parcel> =
            tx.query(sql::TAKE, &[&i64::try_from(WINDOW).unwrap_or(i64::MAX), &avoided]).await?;
        if parcels.is_empty() {
            let next: Option<i64> = tx.query_opt::<Option<i64>>(sql::NEXT_DUE, &[]).await?.flatten();
            tx.roll_back().await?;
            return Ok(Pass::Dry(next.map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(0)))));
        }
        parcels.sort_unstable_by_key(|parcel| (parcel.priority, parcel.run_at, parcel.id));
        if let Err((queue, error)) = self.publish(&parcels).await {
            if self.nats.0.streams.server.is_connected() {
                self.avoided.insert(queue, now + AVOID);
            }
            tx.roll_back().await?;
            return Err(error);
        }
        tx.commit().await?;
        self.meters.relayed.inc_by(parcels.len() as u64);
        self.meters.seconds.observe(self.nats.0.clock.now().saturating_duration_since(now).as_secs_f64());
        for queue in queues(&parcels) {
            self.nats.0.postgres.hint(queue);
        }
        Ok(if parcels.len() == WINDOW { Pass::Full } else { Pass::Dry(Some(Duration::ZERO)) })
    }

    /// Publishes all, and waits for every acknowledgement. An error names the queue that it belongs to.
    async fn publish(&self, parcels: &[Parcel]) -> Result<(), (String, Error)> {
        let streams = &self.nats.0.streams;
        for queue in queues(parcels) {
            streams.lanes(queue).await.map_err(|error| (queue.to_owned(), error))?;
        }
        let span = tracing::info_span!(
            "relay",
            otel.kind = "producer",
            messaging.system = super::server::NATS,
            messaging.operation.name = "publish",
            messaging.operation.type = "send",
            messaging.batch.message_count = parcels.len(),
            server.address = streams.server.address,
        );
        let sending = async {
            let mut acknowledgements = Vec::with_capacity(parcels.len());
            let system = streams.system().await.map_err(|error| (parcels[0].queue.clone(), error))?;
            for parcel in parcels {
                acknowledgements.push(self.send(system, parcel).await?);
            }
            for (acknowledged, parcel) in join_all(acknowledgements).await.into_iter().zip(parcels) {
                acknowledged.map_err(|problem| self.refused(parcel, &problem))?;
            }
            Ok(())
        };
        let sent = tokio::time::timeout(CALL_MAX * 2, sending.instrument(span)).await;
        sent.unwrap_or_else(|_| {
            let silence = format!("no acknowledgement within {:?}", CALL_MAX * 2);
            Err((parcels[0].queue.clone(), streams.server.failed(silence)))
        })
    }

    async fn send(
        &self,
        system: &System,
        parcel: &Parcel,
    ) -> Result<impl Future<Output = Result<(), String>> + use<>, (String, Error)> {
        let streams = &self.nats.0.streams;
        let subject = system.subject(&parcel.queue, parcel.priority(), parcel.id);
        let body = serde_json::to_vec(parcel).map_err(|error| self.refused(parcel, &error.to_string()))?;
        let id = format!("{}:{}:{}", system.id, parcel.id, parcel.run);
        let message = PublishMessage::build().payload(body.into()).message_id(id);
        let sent = streams.server.context.send_publish(subject, message).await;
        let acknowledged = sent.map_err(|error| self.refused(parcel, &causes(&error)))?;
        Ok(async move { acknowledged.await.map(|_| ()).map_err(|error| causes(&error)) })
    }

    fn refused(&self, parcel: &Parcel, problem: &str) -> (String, Error) {
        let streams = &self.nats.0.streams;
        streams.forget(&parcel.queue);
        (
            parcel.queue.clone(),
            streams.server.failed(format!("publish to queue `{}`: {problem}", parcel.queue)),
        )
    }
}

/// Wakes the relays of this process when another process tells of rows, or may have.
pub(super) async fn hear(nats: Nats) {
    let mut heard = nats.0.database.listen(CHANNEL);
    while let Some(heard) = heard.recv().await {
        if heard != Heard::Gap {
            nats.0.due.notify_one();
        }
    }
}

fn queues(parcels: &[Parcel]) -> BTreeSet<&str> {
    parcels.iter().map(|parcel| parcel.queue.as_str()).collect()
}
