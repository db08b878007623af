//! Messages that JetStream has given away and nobody has claimed: those of a worker that died between the two.

use super::server::{PASSWORD, TestNats, USER};
use super::{connect, database, until};
use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::{self, stream::Stream};
use futures_util::StreamExt as _;
use onefold_core::metrics::Metrics;
use onefold_core::{Boot, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_queue::store::{Identity, NewJob};
use onefold_queue::{DEFAULT_QUEUE, Enqueued, Envelope, JobId};
use std::time::Duration;

/// The stream of the only queue, and its consumers.
async fn made(url: &str) -> (Stream, Vec<Consumer<pull::Config>>) {
    let options = ConnectOptions::with_user_and_password(USER.to_owned(), PASSWORD.to_owned());
    let context = jetstream::new(options.connect(url).await.expect("connect"));
    let name = context.stream_names().next().await.expect("a stream").expect("its name");
    let stream = context.get_stream(name).await.expect("the stream");
    let names: Vec<_> = stream.consumer_names().collect().await;
    let mut consumers = Vec::new();
    for name in names {
        consumers.push(stream.get_consumer(&name.expect("a name")).await.expect("a consumer"));
    }
    (stream, consumers)
}

/// Takes the job away, by an older build's consumers, and never says a word of it. A worker of this build changes them
/// to a shorter wait, and gets the job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_was_taken_and_never_claimed_is_delivered_again_soon() {
    let (nats, server) = (TestNats::one(), TestPostgres::start().await);
    let (tasks, metrics) = (TaskGroup::new(), Metrics::new());
    let migrations = [onefold_database::MIGRATIONS, onefold_queue::MIGRATIONS];
    database(&server.url(), &tasks, &metrics).await.migrate(&migrations).await.expect("migrate");
    let producer = connect(&server.url(), &nats.url(), &tasks, &metrics).await;
    let envelope = Envelope::new("k.v1", &1).expect("a number is JSON");
    let job = NewJob { envelope: &envelope, attempts_max: 3 };
    let enqueued = producer.store.enqueue(&[job]).await.expect("enqueue");
    producer.store.hint(DEFAULT_QUEUE);
    until("the job is a message", async || {
        let depths = producer.admin.depths().await.expect("ask");
        let connection = producer.database.exclusive().await.expect("connect");
        let rows: i64 =
            connection.query_one("select count(*) from onefold.job", &[]).await.expect("ask").get(0);
        rows == 0 && depths.iter().map(|depth| depth.available).sum::<u64>() == 1
    })
    .await;

    let (stream, consumers) = made(&nats.url()).await;
    let (long, mut taken) = (Duration::from_mins(10), 0);
    for mut consumer in consumers {
        let mut config = consumer.info().await.expect("ask").config.clone();
        config.ack_wait = long;
        let older: pull::Config =
            jetstream::consumer::FromConsumer::try_from_consumer_config(config).expect("pull");
        let consumer: Consumer<pull::Config> = stream.create_consumer(older).await.expect("change");
        assert_eq!(consumer.cached_info().config.ack_wait, long);
        let messages = consumer.fetch().max_messages(10).messages().await.expect("fetch");
        taken += messages.count().await;
    }
    assert_eq!(taken, 1);

    let newer = connect(&server.url(), &nats.url(), &tasks, &metrics).await;
    let identity = Identity {
        node: "worker-1".parse().expect("a name"),
        zone: "a".parse().expect("a zone"),
        boot: Boot::new(),
        build: "test".to_owned(),
    };
    let worker = newer.store.register(&identity, Duration::from_mins(5)).await.expect("register");
    let mut consumer = newer.store.consumer(worker, &[DEFAULT_QUEUE.to_owned()]);
    let mut jobs = Vec::new();
    while jobs.is_empty() {
        let fetched =
            tokio::time::timeout(Duration::from_mins(1), consumer.fetch(10)).await.expect("in time");
        jobs = fetched.expect("fetch").jobs;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(ids, enqueued.into_iter().filter_map(Enqueued::stored).collect::<Vec<_>>());
    assert_eq!(jobs[0].attempt, 1, "nobody had begun it");
    tasks.stop(Duration::from_secs(20)).await;
}
