//! Members, and what becomes of them when somebody dies, leaves, or the service is away.

use crate::support::{PATIENCE, Stage, now};
use onefold_coordination::Config;
use onefold_core::{Boot, Member, Members, Role};
use std::time::Duration;
use tokio::sync::watch;

const TTL: Duration = Duration::from_secs(1);

fn quick() -> Config {
    Config { member_ttl: TTL, poll: Duration::from_millis(100), ..Config::default() }
}

fn member(name: &str) -> Member {
    Member {
        name: name.parse().unwrap(),
        role: Role::App,
        zone: "a".parse().unwrap(),
        address: Some("127.0.0.1:8000".parse().unwrap()),
        admin: "127.0.0.1:9000".parse().unwrap(),
        boot: Boot::new(),
        build: "test".into(),
    }
}

async fn until(members: &mut watch::Receiver<Members>, names: &[&str]) -> Members {
    let arrived = |members: &Members| members.iter().map(|m| m.name.as_str()).eq(names.iter().copied());
    let in_time = tokio::time::timeout(PATIENCE, members.wait_for(arrived)).await.is_ok();
    assert!(in_time, "{names:?} was expected; there are {:?}", members.borrow());
    members.borrow().clone()
}

#[tokio::test]
async fn a_node_that_leaves_is_gone_at_once_and_one_that_dies_after_its_ttl() {
    let stage = Stage::new().await;
    let watcher = stage.node("watcher", &quick()).await;
    let mut members = watcher.coordination.members().watch();
    let one = stage.node("one", &quick()).await;
    let leaving = one.coordination.members().register(member("one"));
    let dying =
        stage.mortal("two", &quick(), |node| node.coordination.members().register(member("two"))).await;
    until(&mut members, &["one", "two"]).await;
    leaving.leave().await;
    let left = now();
    until(&mut members, &["two"]).await;
    println!("a graceful leave is seen after {:?}", left.elapsed());
    let three = stage.node("three", &quick()).await;
    let _three = three.coordination.members().register(member("three"));
    until(&mut members, &["three", "two"]).await;
    assert!(three.node.tasks.stop(Duration::from_secs(5)).await, "a node that stops leaves by itself");
    until(&mut members, &["two"]).await;
    tokio::time::sleep(TTL * 2).await;
    assert_eq!(members.borrow().len(), 1, "who renews stays");
    dying.die();
    let died = now();
    until(&mut members, &[]).await;
    println!("a dead node is gone after {:?}, ttl {TTL:?}", died.elapsed());
}

/// While the service is away nobody can tell who is dead, so nobody disappears; and when it is back, everybody
/// has the time to renew, though every lease has ended meanwhile.
#[tokio::test]
async fn while_the_service_is_away_and_when_it_is_back_nobody_disappears() {
    let stage = Stage::new().await;
    let (one, two) = (stage.node("one", &quick()).await, stage.node("two", &quick()).await);
    let _one = one.coordination.members().register(member("one"));
    let _two = two.coordination.members().register(member("two"));
    let mut members = one.coordination.members().watch();
    until(&mut members, &["one", "two"]).await;
    stage.pause();
    tokio::time::sleep(TTL * 3).await;
    assert_eq!(members.borrow().len(), 2);
    stage.resume();
    let watching = now();
    while watching.elapsed() < TTL * 3 {
        assert_eq!(members.borrow().len(), 2, "after {:?}", watching.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_new_start_of_a_node_replaces_the_one_before_it() {
    let stage = Stage::new().await;
    let watcher = stage.node("watcher", &quick()).await;
    let mut members = watcher.coordination.members().watch();
    let dying =
        stage.mortal("one", &quick(), |node| node.coordination.members().register(member("one"))).await;
    let first = until(&mut members, &["one"]).await;
    dying.die();
    let node = stage.node("one", &quick()).await;
    let second = member("one");
    let _registration = node.coordination.members().register(second.clone());
    let replaced = |members: &Members| members.iter().any(|m| m.boot == second.boot);
    tokio::time::timeout(PATIENCE, members.wait_for(replaced)).await.unwrap().unwrap();
    assert_ne!(first[0].boot, second.boot);
    let watching = now();
    while watching.elapsed() < TTL * 2 {
        assert_eq!(
            members.borrow()[0].boot,
            second.boot,
            "the end of the first one's lease takes nothing away"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_node_boots_from_the_snapshot_on_disk_while_the_service_is_away() {
    let stage = Stage::new().await;
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        snapshot: Some(directory.path().join("coordination.json")),
        timeout: Duration::from_millis(300),
        ..quick()
    };
    let one = stage.node("one", &config).await;
    let registration = one.coordination.members().register(member("one"));
    until(&mut one.coordination.members().watch(), &["one"]).await;
    let database = stage.database.clone();
    stage.pause();
    let two = crate::support::node("two");
    let coordination = onefold_coordination::Coordination::postgres(&database, &config, &two).await;
    assert_eq!(coordination.members().now().len(), 1, "what was in force last");
    let mut members = coordination.members().watch();
    let waiting = coordination.members().register(member("two"));
    stage.resume();
    tokio::time::timeout(PATIENCE, waiting.ready()).await.expect("changes flow again");
    until(&mut members, &["one", "two"]).await;
    registration.leave().await;
    until(&mut members, &["two"]).await;
}

#[tokio::test]
async fn each_node_reports_the_revision_it_runs() {
    let stage = Stage::new().await;
    let node = stage.node("one", &quick()).await;
    let registration = node.coordination.members().register(member("one"));
    registration.ready().await;
    let settings = node.coordination.settings();
    let limit = onefold_coordination::Setting::new("limit", 1_i64);
    settings.register(&limit).unwrap();
    let writer = onefold_coordination::Writer::new("ada");
    let at = settings.set("limit", 2.into(), None, writer).await.unwrap();
    let reported = async {
        loop {
            let nodes = settings.nodes().await.unwrap();
            if nodes.len() == 1 && nodes[0].revision >= at.revision {
                return nodes;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let nodes = tokio::time::timeout(PATIENCE, reported).await.expect("with its next renewal");
    assert_eq!(nodes[0].node, "one");
}
