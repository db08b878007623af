//! Sessions and lagging replicas: what makes this cache different from others.

use crate::node::{Node, anybody, eventually, make_things, patient, undisturbed};
use onefold_cache::{Cached, Config};
use onefold_core::Clock;
use onefold_database::testing::TestCluster;
use onefold_database::{Read, ServerRole, Session};
use rand::RngExt as _;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const CHEAP: Cached<str, String> = Cached::new("cheap", MINUTE);
const DEAR: Cached<str, String> = Cached::new("dear", MINUTE).dear();
const ELSEWHERE: Cached<str, String> = Cached::new("elsewhere", MINUTE);

/// Rounds of write and read, with one replica held back through half of them.
const ROUNDS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_held_back_never_shows_a_session_what_is_old() {
    let cluster = TestCluster::start(2).await;
    make_things(cluster.server(0)).await;
    let config = Config { dear_after: MINUTE, ..Config::default() };
    let nodes = Node::start_all(2, &cluster.config(), &config, &Clock::system()).await;
    replicas_are_known(&nodes).await;
    for round in 0..ROUNDS {
        match round % 20 {
            0 => cluster.pause_replay(1).await,
            10 => resume(&cluster).await,
            _ => {}
        }
        let things = if round % 2 == 0 { &CHEAP } else { &DEAR };
        let (id, value) = (format!("thing-{}", round % 5), round.to_string());
        for node in &nodes {
            node.get(&anybody(), things, &id).await;
        }
        let any = || &nodes[rand::rng().random_range(0..nodes.len())];
        let (session, writer) = (Session::new(), any());
        let mut tx = writer.write(&session, &id, &value).await;
        tx.attach(writer.cache.invalidation(&CHEAP, &id));
        tx.attach(writer.cache.invalidation(&DEAR, &id));
        tx.commit().await.unwrap();
        // Others load at the same time, from whichever replica.
        any().get(&anybody(), things, &id).await;
        for node in &nodes {
            assert_eq!(node.get(&session, things, &id).await.as_deref(), Some(&*value), "round {round}");
        }
    }
    for id in (0..5).map(|n| format!("thing-{n}")) {
        for things in [&CHEAP, &DEAR] {
            settled(&nodes, things, &id).await;
        }
    }
}

async fn replicas_are_known(nodes: &[Node]) {
    for node in nodes {
        eventually("the replicas are known", async || {
            let servers = node.database.servers();
            servers.iter().filter(|server| server.role == ServerRole::Replica).count() == 2
        })
        .await;
    }
}

/// A client whose token is older than all that follows.
struct Client(String);

impl Client {
    async fn new(node: &Node) -> Self {
        let session = Session::new();
        node.write(&session, "another", "thing").await.commit().await.unwrap();
        let mut client = Self(String::new());
        client.ends(node, &session);
        client
    }

    fn begins(&self, node: &Node) -> Session {
        Session::resume([self.0.as_str()], node.database.keys().unwrap())
    }

    fn ends(&mut self, node: &Node, session: &Session) {
        self.0 = node.database.keys().unwrap().sign(&session.token().unwrap());
    }
}

/// One replica holds back what is new. A hit on one node shows it, and then another node must not show the old,
/// neither from the database nor through a cache that has to load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_shown_something_by_a_hit_never_reads_the_old_elsewhere() {
    let cluster = TestCluster::start(2).await;
    make_things(cluster.server(0)).await;
    let nodes = Node::start_all(2, &cluster.config(), &patient(), &Clock::manual()).await;
    replicas_are_known(&nodes).await;
    for round in 0..12 {
        undisturbed(&nodes, async |id: &str| {
            resume(&cluster).await;
            shown_here_and_read_there(&cluster, &nodes, round, &format!("{id}-{round}")).await;
        })
        .await;
    }
}

async fn shown_here_and_read_there(cluster: &TestCluster, nodes: &[Node], round: usize, id: &str) {
    let [here, there] = nodes else { unreachable!() };
    let things = if round.is_multiple_of(2) { &CHEAP } else { &DEAR };
    here.write(&Session::new(), id, "old").await.commit().await.unwrap();
    let mut client = Client::new(here).await;
    cluster.pause_replay(1).await;
    let writer = Session::new();
    here.write(&writer, id, "new").await.commit().await.unwrap();
    // The writer fills the caches, from a server that has its write.
    assert_eq!(here.get(&writer, things, id).await.as_deref(), Some("new"));
    let loads = (here.loads(), there.loads());
    let session = client.begins(here);
    let from_l2 = round % 4 == 1;
    let shown = if from_l2 { there } else { here }.get(&session, things, id).await;
    assert_eq!(shown.as_deref(), Some("new"));
    assert_eq!((here.loads(), there.loads()), loads, "round {round}: a hit");
    client.ends(here, &session);

    let session = client.begins(there);
    let sql = "select value from thing where id = $1";
    let direct: String =
        there.database.db(session).read(Read::YourWrites).query_one(sql, &[&id]).await.unwrap();
    assert_eq!(direct, "new", "round {round}");
    let loaded = there.get(&client.begins(there), &ELSEWHERE, id).await;
    assert_eq!(loaded.as_deref(), Some("new"), "round {round}");
}

/// A standby may cancel even this statement, when it has to choose between it and its replay.
async fn resume(cluster: &TestCluster) {
    eventually("the replica goes on", async || {
        let replica = cluster.server(1).client().await;
        replica.batch_execute("select pg_wal_replay_resume()").await.is_ok()
    })
    .await;
}

/// Even those who ask for nothing get the newest value in the end, everywhere.
async fn settled(nodes: &[Node], things: &Cached<str, String>, id: &str) {
    let newest = "select value from thing where id = $1";
    let db = nodes[0].database.db(Session::new());
    let newest: String = db.read(onefold_database::Read::Strong).query_one(newest, &[&id]).await.unwrap();
    for node in nodes {
        eventually("the newest value is seen", async || {
            node.get(&anybody(), things, id).await.as_deref() == Some(&*newest)
        })
        .await;
    }
}
