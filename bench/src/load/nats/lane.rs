//! A stream and a consumer with the engine's settings, for the bare loops.

use crate::load::bare;
use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Message};
use async_nats::{Client, ConnectOptions, ServerAddr};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use onefold_queue::{Config, DEFAULT_QUEUE};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

/// As a pass of the relay.
pub(super) const WINDOW: usize = 1000;
const SHELVES: i64 = 256;
const ACK: &[u8] = b"+ACK";

/// One stream with one consumer.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) client: Client,
    pub(super) context: jetstream::Context,
    pub(super) consumer: PullConsumer,
}

/// A job as a message: what the engine writes.
#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) id: i64,
    run: i32,
    attempt: i32,
    attempts_max: i32,
    kind_version: i32,
    priority: i16,
    queue: String,
    kind: String,
    args: Box<RawValue>,
    run_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl Lane {
    /// An empty stream; any that was there is gone, whoever made it.
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let url = config.url.as_ref().context("queue.url")?.expose().trim().to_owned();
        let rest = url.strip_prefix("nats://").context("a URL of NATS")?;
        let (user, hosts) = rest.split_once('@').context("a URL with a user")?;
        let (user, password) = user.split_once(':').context("a URL with a password")?;
        let servers = hosts.split(',').map(str::parse).collect::<Result<Vec<ServerAddr>, _>>()?;
        let options = ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
        let client = options.connect(servers).await?;
        let context = jetstream::new(client.clone());
        let mut names = context.stream_names();
        while let Some(name) = names.next().await {
            context.delete_stream(name?).await?;
        }
        let stream = StreamConfig {
            name: "onefold-raw".to_owned(),
            subjects: vec!["raw.>".to_owned()],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            max_messages: -1,
            max_bytes: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            max_message_size: -1,
            num_replicas: 3,
            duplicate_window: Duration::from_mins(10),
            ..StreamConfig::default()
        };
        let stream = context.create_stream(stream).await?;
        let consumer = pull::Config {
            durable_name: Some("workers-2".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(30),
            max_deliver: -1,
            max_ack_pending: 100_000,
            filter_subject: "raw.2.*".to_owned(),
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(consumer).await?;
        Ok(Self { client, context, consumer })
    }

    /// Publishes all in flight, and waits for every acknowledgement.
    pub(super) async fn publish(&self, bodies: &[Body]) -> Result<()> {
        let mut acknowledgements = Vec::with_capacity(bodies.len());
        for body in bodies {
            let message = PublishMessage::build().payload(serde_json::to_vec(body)?.into());
            let message = message
                .message_id(format!("{}:{}:{}", "0190f6a47c1e7d0a9d5b3f1c2a4b5c6d", body.id, body.run));
            let subject = format!("raw.2.{}", body.id % SHELVES);
            acknowledgements.push(self.context.send_publish(subject, message).await?.into_future());
        }
        try_join_all(acknowledgements).await?;
        Ok(())
    }

    /// What is there now, up to a batch.
    pub(super) async fn fetch(&self) -> Result<Vec<Message>> {
        let mut batch = self.consumer.fetch().max_messages(WINDOW).messages().await?;
        let mut messages = Vec::with_capacity(WINDOW);
        while let Some(message) = batch.next().await {
            messages.push(message.map_err(anyhow::Error::from_boxed)?);
        }
        Ok(messages)
    }

    /// Acknowledges all; the answer to the last says that the server has heard them.
    pub(super) async fn acknowledge(&self, messages: &[Message]) -> Result<()> {
        let Some((last, others)) = messages.split_last() else { return Ok(()) };
        let reply = |message: &Message| message.reply.clone().context("a message without reply");
        for message in others {
            self.client.publish(reply(message)?, ACK.into()).await?;
        }
        self.client.request(reply(last)?, ACK.into()).await?;
        Ok(())
    }
}

impl Body {
    /// A job like those of the drain.
    pub(super) fn new(id: i64) -> Result<Self> {
        let now = Utc::now();
        Ok(Self {
            id,
            run: 0,
            attempt: 0,
            attempts_max: 10,
            kind_version: 1,
            priority: 2,
            queue: DEFAULT_QUEUE.to_owned(),
            kind: crate::load::KIND.to_owned(),
            args: serde_json::value::to_raw_value(&bare::args())?,
            run_at: now,
            created_at: now,
        })
    }

    /// A row that the relay's statement has taken.
    pub(super) fn of_row(row: &Row) -> Result<Self> {
        let Json(args) = row.try_get("args")?;
        Ok(Self {
            id: row.try_get("id")?,
            run: row.try_get("run")?,
            attempt: row.try_get("attempt")?,
            attempts_max: row.try_get("attempts_max")?,
            kind_version: row.try_get("kind_version")?,
            priority: row.try_get("priority")?,
            queue: row.try_get("queue")?,
            kind: row.try_get("kind")?,
            args,
            run_at: row.try_get("run_at")?,
            created_at: row.try_get("created_at")?,
        })
    }
}
