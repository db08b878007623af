//! A writer in a process of its own, which is killed between its commit and its invalidation.

use super::client::{CHEAP, DEAR, WRITE};
use crate::node::{Node, System, anybody, eventually, patient};
use onefold_cache::{Config, Engine};
use onefold_core::process::BoxFuture;
use onefold_core::{Clock, Lsn, Secret};
use onefold_database::{Effect, OutboxRecord, Session};
use serde::{Deserialize, Serialize};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

/// By which a process is told what to write.
const ERRAND: &str = "ONEFOLD_TEST_ERRAND";
const SIGKILL: i32 = 9;

/// What a writer is to write, and where.
#[derive(Serialize, Deserialize)]
pub(super) struct Errand {
    pub(super) postgres: String,
    /// Without it, the shared level lies in Postgres.
    pub(super) redis: Option<String>,
    pub(super) ids: Vec<String>,
}

impl Errand {
    /// Has a process do it, and waits until it is dead.
    pub(super) async fn kills_its_writer(&self) {
        // Tests are called by their path without the crate's name.
        let name = concat!(module_path!(), "::a_writer_that_lives_leaves_nothing_to_others");
        let name = name.split_once("::").map_or(name, |(_, name)| name);
        let mut writer = Command::new(std::env::current_exe().unwrap());
        writer.args(["--exact", name]).env(ERRAND, serde_json::to_string(self).unwrap());
        let mut writer = writer.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut ended = None;
        eventually("the writer dies", async || {
            ended = writer.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        assert_eq!(ended.unwrap().signal(), Some(SIGKILL), "by the signal, and not by a failure");
    }

    async fn run(self, death: Option<Death>) {
        let connect =
            onefold_database::Config { url: Some(Secret::new(self.postgres)), ..Default::default() };
        let config = match self.redis {
            Some(url) => Config { engine: Engine::Redis, url: Some(Secret::new(url)), ..patient() },
            None => patient(),
        };
        let nodes = Node::start_all(1, &connect, &config, &Clock::system()).await;
        let mut tx = nodes[0].database.db(Session::new()).begin().await.unwrap();
        // Its turn comes before that of the invalidations.
        if let Some(death) = death {
            tx.attach(death);
        }
        for id in &self.ids {
            tx.execute(WRITE, &[id]).await.unwrap();
            tx.attach(nodes[0].cache.invalidation(&CHEAP, id.as_str()));
            tx.attach(nodes[0].cache.invalidation(&DEAR, id.as_str()));
        }
        tx.commit().await.unwrap();
    }
}

/// Kills its own process once the transaction is committed.
struct Death;

impl Effect for Death {
    fn record(&self) -> Option<OutboxRecord> {
        None
    }

    fn committed(self: Box<Self>, _: Lsn) -> BoxFuture<'static, bool> {
        let own = std::process::id().to_string();
        let _ = Command::new("kill").args(["-9", &own]).status();
        unreachable!("it is dead")
    }
}

#[expect(clippy::disallowed_methods, reason = "by the environment alone a test is told something")]
fn told() -> Option<Errand> {
    std::env::var(ERRAND).ok().map(|errand| serde_json::from_str(&errand).unwrap())
}

/// Told an errand, its process is the one that dies of it.
#[tokio::test]
async fn a_writer_that_lives_leaves_nothing_to_others() {
    if let Some(errand) = told() {
        return Box::pin(errand.run(Some(Death))).await;
    }
    let system = System::with(1, patient()).await;
    let (node, id) = (&system.nodes[0], "thing".to_owned());
    for things in [&CHEAP, &DEAR] {
        assert_eq!(node.get(&anybody(), things, &id).await, None);
    }
    let errand = Errand { postgres: system.postgres.url(), redis: None, ids: vec![id.clone()] };
    Box::pin(errand.run(None)).await;
    for things in [&CHEAP, &DEAR] {
        eventually("it is seen", async || node.get(&anybody(), things, &id).await.is_some()).await;
    }
}
