//! Every job is delivered, whichever worker dies.

use super::World;
use super::faulty::Renewals;
use super::node::{Hands, Node, brief, hanging, hasty, job, kind, kinds, noting, number_of, producer, quick};
use super::world::{Seen, until};
use crate::admin::JobState;
use crate::delivery::Failure;
use crate::store::{End, Execution, Settlement};
use crate::{Config, Envelope, Kinds, Policy, WorkerConfig};
use onefold_core::Clock;
use std::time::Duration;
use tokio::sync::watch;

/// A worker dies in a job; another runs it.
pub async fn job_is_delivered_though_its_worker_died(world: World) {
    let (begun, ended) = (Seen::default(), Seen::default());
    let mut victim = Node::start(&world, hanging(hasty(), &begun)).await;
    victim.work(brief());
    victim.enqueue(job(1)).await;
    until("the victim runs the job", async || begun.all() == [1]).await;
    victim.kill();

    let survivor = Node::start(&world, noting(hasty(), &ended)).await;
    survivor.work(brief());
    let _leading = survivor.lead(Vec::new(), Clock::system());
    until("the survivor runs the job", async || ended.all() == [1]).await;
    world.drained().await;
    assert_eq!(survivor.counted("onefold_queue_rescued"), 1);
}

/// A worker that died in a job's last attempt has spent it.
pub async fn last_attempt_of_a_dead_worker_makes_a_dead_letter(world: World) {
    let begun = Seen::default();
    let mut victim = Node::start(&world, hanging(hasty(), &begun)).await;
    victim.work(brief());
    let id = victim.enqueue(job(1).attempts(1)).await;
    until("the victim runs the job", async || begun.all() == [1]).await;
    victim.kill();

    let leader = Node::start(&world, producer()).await;
    let _leading = leader.lead(Vec::new(), Clock::system());
    until("the job is dead", async || world.job(id).await.state == JobState::Dead).await;
    let record = world.job(id).await;
    assert_eq!((record.attempt, record.errors.len()), (1, 1), "{record:?}");
}

/// The fence: after a rescue the old worker settles nothing, whatever it believes, and the new one does.
pub async fn rescued_job_is_not_settled_by_its_old_worker(world: World) {
    let node = Node::start(&world, producer()).await;
    let id = node.enqueue(job(1)).await;
    world.arrived().await;
    let settle = async |worker, run| {
        let execution = Execution { id, run };
        let done = [Settlement { execution, end: End::Done(None) }];
        world.store.settler(worker).settle(&done).await.expect("settle")
    };

    let (old, new) = (world.register(Duration::ZERO).await, world.register(Duration::from_mins(1)).await);
    assert!(world.fetch(old).await.is_none(), "no lease, no job");
    world.store.renew(old, Duration::from_mins(1)).await.expect("renew");
    let first = world.fetch(old).await.expect("its lease is in force");
    let rescued = world.rescue(old).await;
    assert_eq!((rescued.workers, rescued.freed.len()), (1, 1));

    assert!(settle(old, first.run).await.is_empty(), "the job waits for another worker");
    let second = world.fetch(new).await.expect("the job is free");
    assert_eq!((second.id, second.attempt), (id, 2), "the attempt is spent");
    assert!(settle(old, first.run).await.is_empty() && settle(new, first.run).await.is_empty());
    assert_eq!(settle(new, second.run).await, [id]);
    assert_eq!(world.live().await, 0);
}

/// 10,000 jobs, two workers; one is suspended in the middle, loses its lease without knowing, and goes on with
/// the jobs that were given to the other. The inbox lets each effect in once.
pub async fn ten_thousand_jobs_are_applied_once_though_a_lease_ends(world: World) {
    const JOBS: i64 = 10_000;
    world.make_table("n bigint not null").await;
    let (suspended, awake) = (watch::channel(false).0, watch::channel(false).0);
    let victim = Node::with(&world, &Config::default(), |hands| applying(hands, &suspended)).await;
    let survivor = Node::with(&world, &Config::default(), |hands| applying(hands, &awake)).await;
    let _leading = survivor.lead(Vec::new(), Clock::system());
    victim.queue.enqueue((0..JOBS).map(job).collect()).await.expect("enqueue");
    victim.work(WorkerConfig { batch_jobs_max: 200, ..brief() });

    until("the victim works", async || world.number("select count(*) from effect").await > 500).await;
    suspended.send_replace(true);
    victim.faulty.renewals(Renewals::Lying);
    survivor.work(WorkerConfig { batch_jobs_max: 200, ..quick() });
    until("the victim is rescued", async || survivor.counted("onefold_queue_rescued") > 0).await;
    suspended.send_replace(false);
    until("the victim settles what is not its own", async || {
        victim.counted("onefold_queue_lost_completions") > 0
    })
    .await;
    victim.faulty.renewals(Renewals::Honest);
    world.drained().await;
    let counted = world.number("select count(*) from effect").await;
    let distinct = world.number("select count(distinct n) from effect").await;
    assert_eq!((counted, distinct), (JOBS, JOBS));
}

/// A handler that applies its number once, by the inbox; it waits while its process is suspended.
fn applying(hands: &Hands, suspended: &watch::Sender<bool>) -> Kinds {
    let (hands, suspended) = (hands.clone(), suspended.subscribe());
    kind(Policy { attempts_max: 20, ..hasty() }, move |delivery| {
        let (hands, mut suspended) = (hands.clone(), suspended.clone());
        async move {
            // An error means that the case is over.
            let _ = suspended.wait_for(|suspended| !suspended).await;
            let mut tx = hands.begin().await?;
            if hands.queue().once(&mut tx, &delivery).await? {
                tx.execute("insert into effect values ($1)", &[&number_of(&delivery)]).await?;
                tx.commit().await?;
            }
            Ok::<(), Failure>(())
        }
    })
}

/// A kind that no worker knows waits, without spending attempts, for one that does.
pub async fn unknown_kind_is_held_until_a_worker_knows_it(world: World) {
    let seen = Seen::default();
    let old = Node::start(&world, noting(hasty(), &seen)).await;
    old.work(quick());
    let noted = seen.clone();
    let new = Node::start(
        &world,
        kinds([("k.v1", hasty()), ("new.v1", hasty())], move |delivery| {
            noted.note(number_of(&delivery) + i64::from(delivery.job.attempt) * 1000);
            async { Ok(()) }
        }),
    )
    .await;
    let id = new.enqueue(Envelope::new("new.v1", &7).expect("JSON")).await;
    until("it is held", async || world.job(id).await.state == JobState::Held).await;
    new.work(quick());
    world.drained().await;
    assert_eq!(seen.all(), [1007], "run once, in its first attempt");
}

/// A layout of arguments that is newer than a worker's build is left to a newer worker.
pub async fn newer_layout_is_held_until_a_worker_knows_it(world: World) {
    let seen = Seen::default();
    let old = Node::start(&world, noting(hasty(), &seen)).await;
    old.work(quick());
    let mut envelope = job(1);
    envelope.version = 2;
    let id = old.enqueue(envelope).await;
    until("it is held", async || world.job(id).await.state == JobState::Held).await;
    let new = Node::start(&world, noting(Policy { version: 2, ..hasty() }, &seen)).await;
    new.work(quick());
    world.drained().await;
    assert_eq!(seen.all(), [1]);
}
