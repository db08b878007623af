//! One node's way to the database and the queue, as `serve` makes it.

use crate::load::{KIND, Target};
use anyhow::{Result, bail};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::{Config, Database, ServerEntry};
use onefold_queue::postgres::Postgres;
use onefold_queue::{BoxFuture, Delivery, Failure, Handler, Kinds, Policy, Queue, Store};
use std::sync::Arc;
use std::time::Duration;

/// Whatever the number of tasks.
const EXCLUSIVE_MIN: usize = 8;

/// A node without a tier but these two.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) database: Database,
    pub(super) tasks: TaskGroup,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
}

impl Node {
    /// Connects, and waits until every server has answered, so that the first read goes where the last one will.
    pub(super) async fn connect(target: &Target) -> Result<Self> {
        let (tasks, metrics, clock) = (TaskGroup::new(), Metrics::new(), Clock::system());
        let config = config(target)?;
        let database =
            Database::connect(&config, &"load".parse()?, &"a".parse()?, &tasks, &metrics, clock.clone())
                .await?;
        for _ in 0..1000 {
            if database.servers().iter().all(|server| server.lag.is_some()) {
                return Ok(Self { database, tasks, metrics, clock });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("not every server has answered")
    }

    /// A queue with one kind of job, which keeps no history and does no more than to say that it ran.
    pub(super) fn queue(&self, ran: impl Fn() + Send + Sync + 'static) -> Result<Queue> {
        self.queue_on(Arc::new(Postgres::new(self.database.clone(), self.clock.clone())), ran)
    }

    /// The same over any engine.
    pub(super) fn queue_on(
        &self,
        store: Arc<dyn Store>,
        ran: impl Fn() + Send + Sync + 'static,
    ) -> Result<Queue> {
        let mut kinds = Kinds::new();
        kinds.register(KIND, Policy::default(), NoOp(ran))?;
        Ok(Queue::start(
            store,
            Arc::new(kinds),
            &onefold_queue::Config::default(),
            &self.tasks,
            &self.metrics,
        ))
    }
}

struct NoOp<F>(F);

impl<F: Fn() + Send + Sync + 'static> Handler for NoOp<F> {
    fn run(&self, _: Delivery) -> BoxFuture<'static, Result<(), Failure>> {
        (self.0)();
        Box::pin(std::future::ready(Ok(())))
    }
}

fn config(target: &Target) -> Result<Config> {
    let urls = [Some(&target.primary), target.replica.as_ref()];
    let entry = |(number, url): (usize, &String)| {
        let name = format!("postgres-{}", number + 1).parse()?;
        anyhow::Ok(ServerEntry { name, zone: None, url: Secret::new(url) })
    };
    let servers = urls.into_iter().flatten().enumerate().map(entry).collect::<Result<_>>()?;
    // A worker's fetches and settlements, and what else a node does, have connections of their own.
    let exclusive_connections_max = target.tasks.max(EXCLUSIVE_MIN);
    Ok(Config { servers, exclusive_connections_max, ..Config::default() })
}
