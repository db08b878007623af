//! How soon a worker starts on a job, and what comes along with it.

use super::World;
use super::node::{Node, hasty, job, kind, producer, quick};
use super::world::{Seen, until};
use crate::WorkerConfig;
use onefold_core::TraceContext;
use std::time::Duration;

/// Far below the poll, far above what a hint takes.
const WOKEN_MS_MAX: i64 = 50;
const TRIES: usize = 20;

fn lazy() -> WorkerConfig {
    WorkerConfig { poll: Duration::from_mins(10), lease: Duration::from_mins(1), ..quick() }
}

/// Notes the milliseconds between due and start.
fn timing(seen: &Seen) -> crate::Kinds {
    let seen = seen.clone();
    kind(hasty(), move |delivery| {
        seen.note((chrono::Utc::now() - delivery.job.run_at).num_milliseconds());
        async { Ok(()) }
    })
}

async fn half_are_woken(world: &World, producer: &Node, seen: &Seen) {
    // What was stored before the worker heard hints has no measure.
    producer.enqueue(job(0)).await;
    until("the worker is up", async || !seen.all().is_empty()).await;
    world.drained().await;
    let before = seen.all().len();
    for n in 0..TRIES {
        producer.enqueue(job(1)).await;
        until("the job has run", async || seen.all().len() == before + n + 1).await;
    }
    let mut waits = seen.all().split_off(before);
    waits.sort_unstable();
    assert!(waits[TRIES / 2] < WOKEN_MS_MAX, "start after {waits:?} ms");
}

/// A worker that would poll in ten minutes starts at once on what another node enqueued. A busy machine may be
/// late now and then; half of the hints must not be.
pub async fn hint_of_another_node_wakes_a_worker(world: World) {
    let seen = Seen::default();
    let (worker, producer) =
        (Node::start(&world, timing(&seen)).await, Node::start(&world, producer()).await);
    worker.work(lazy());
    half_are_woken(&world, &producer, &seen).await;
}

/// The same in one node, without a round trip.
pub async fn job_of_the_same_node_wakes_its_worker(world: World) {
    let seen = Seen::default();
    let node = Node::start(&world, timing(&seen)).await;
    node.work(lazy());
    half_are_woken(&world, &node, &seen).await;
}

/// The handler runs in the enqueuer's trace, and gets what it handed over.
pub async fn trace_session_and_deadline_travel_with_the_job(world: World) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let node = Node::start(
        &world,
        kind(hasty(), move |delivery| {
            let sender = sender.clone();
            async move {
                let (session, deadline) = (delivery.job.session.clone(), delivery.job.deadline.clone());
                // Nobody waits any more if the case has failed.
                let _ = sender.send((TraceContext::current(), session, deadline, delivery.job.seen)).await;
                Ok(())
            }
        }),
    )
    .await;
    node.work(quick());
    let trace = TraceContext::root(true);
    let envelope = trace.scope(async { job(1) }).await;
    let (session, deadline) = (Some("token".to_owned()), Some("2030-01-01T00:00:00Z".to_owned()));
    let envelope = crate::Envelope { session: session.clone(), deadline: deadline.clone(), ..envelope };
    let before = world.database.flush_lsn().await.expect("ask");
    node.enqueue(envelope).await;
    let got = receiver.recv().await.expect("the job runs");
    let within = got.0.expect("the handler runs in a trace");
    assert_eq!(within.trace_id(), trace.trace_id());
    assert_ne!(within.span_id(), trace.span_id());
    assert_eq!((got.1, got.2), (session, deadline));
    assert!(got.3 > before, "the position covers the enqueue");
}
