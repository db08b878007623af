//! A process that takes a lock again and again and writes under it, for tests that stop it:
//! `holder URL NAME fenced|careless`.
//!
//! Each effect is a row of the table `effect (holder, token, at)`. One that is careless asks whether it holds the lock, and
//! then writes without the fence.

use onefold_coordination::{Config, Coordination, Error, Lock, Node};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::{Database, Session};
use std::time::Duration;

const LOCK: &str = "purge";
const TTL: Duration = Duration::from_millis(600);
/// Between the question and the effect: a holder that is stopped is stopped here, most probably.
const THINKING: Duration = Duration::from_millis(30);
/// Then another may have it.
const TURN: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [url, name, way]: [String; 3] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: holder URL NAME fenced|careless")?;
    let node = Node {
        name: name.parse()?,
        tasks: TaskGroup::new(),
        metrics: Metrics::new(),
        clock: Clock::system(),
    };
    let config = onefold_database::Config { url: Some(Secret::new(url)), ..Default::default() };
    let zone = "a".parse()?;
    let database =
        Database::connect(&config, &node.name, &zone, &node.tasks, &node.metrics, node.clock.clone()).await?;
    let coordination = Coordination::postgres(&database, &Config::default(), &node).await;
    loop {
        let Ok(lock) = coordination.locks().lock(LOCK, TTL).await else { continue };
        for _ in 0..TURN {
            if !lock.is_held() {
                break;
            }
            tokio::time::sleep(THINKING).await;
            // One that was refused has written nothing; the next turn asks for the lock.
            if let Err(error) = write(&database, &lock, &name, way == "fenced").await {
                eprintln!("{name}: {error}");
                break;
            }
        }
        lock.release().await;
        tokio::time::sleep(THINKING).await;
    }
}

async fn write(database: &Database, lock: &Lock, name: &str, is_fenced: bool) -> Result<(), Error> {
    let mut tx = database.db(Session::new()).begin().await?;
    if is_fenced {
        lock.fence(&mut tx).await?;
    }
    let effect = "insert into effect (holder, token, at) values ($1, $2, clock_timestamp())";
    tx.execute(effect, &[&name, &lock.token().0]).await?;
    tx.commit().await?;
    Ok(())
}
