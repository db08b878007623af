//! Flags, leadership and the absence of the configuration service.

use crate::client::Client;
use crate::start;
use onefold::testing::{Phase, TestSystem, eventually};
use reqwest::{Method, StatusCode};
use std::time::Duration;

#[tokio::test]
async fn a_flag_flips_live() {
    let system = start().await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com/flag").await;
    assert_eq!(client.get(&format!("/{code}")).await.status(), StatusCode::FOUND);
    system.run(&["flags", "set", "preview-page", "on"]);
    eventually(Duration::from_secs(20), "every node shows the page", async || {
        let mut shown = true;
        for _ in 0..9 {
            shown &= client.get(&format!("/{code}")).await.status() == StatusCode::OK;
        }
        shown
    })
    .await;
    system.run(&["flags", "set", "preview-page", "off"]);
    eventually(Duration::from_secs(20), "nodes redirect again", async || {
        client.get(&format!("/{code}")).await.status() == StatusCode::FOUND
    })
    .await;
}

#[tokio::test]
async fn a_setting_changes_running_nodes_and_a_wrong_value_is_refused() {
    let system = start().await;
    let client = Client::of(&system);
    let page =
        async || client.request(Method::GET, "/links?limit=6").send().await.expect("an answer").status();
    let all_answer = async |status: StatusCode| {
        let mut same = true;
        for _ in 0..9 {
            same &= page().await == status;
        }
        same
    };
    assert_eq!(page().await, StatusCode::OK);
    system.run(&["settings", "set", "page-links-max", "5"]);
    let refused = async || all_answer(StatusCode::UNPROCESSABLE_ENTITY).await;
    eventually(Duration::from_secs(20), "the nodes hold it against requests", refused).await;

    let wrong = system.command(&["settings", "set", "page-links-max", "0"]).output().expect("run");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("page-links-max"));
    assert!(system.run(&["settings", "history", "page-links-max"]).contains('5'));

    system.run(&["settings", "unset", "page-links-max"]);
    eventually(Duration::from_secs(20), "the default holds again", async || all_answer(StatusCode::OK).await)
        .await;
}

/// Another start of a worker leads, and what was due meanwhile is done once.
#[tokio::test]
async fn the_leader_dies_and_cron_moves_on() {
    let system = start().await;
    let workers = ["worker-1", "worker-2"];
    let elected = |worker: &str| {
        let won = |line: &&str| line.contains("leadership of the queue") && line.contains("\"leads\":true");
        system.log(worker).lines().filter(won).count()
    };
    eventually(Duration::from_secs(20), "a worker leads", async || {
        workers.iter().any(|worker| elected(worker) > 0)
    })
    .await;
    let leader = *workers.iter().find(|worker| elected(worker) > 0).unwrap();

    let primary = system.primary().await;
    primary
        .batch_execute(
            "insert into links (code, url, expires_at) values ('past', 'https://example.com', now() - interval '31 days');
             insert into onefold.cron (name, last_tick) values ('purge-expired', now() - interval '2 days')
             on conflict (name) do update set last_tick = excluded.last_tick",
        )
        .await
        .unwrap();
    system.kill(leader);

    // The other one, or the same one risen again: whoever finds the lease free.
    let elections = || workers.iter().map(|worker| elected(worker)).sum::<usize>();
    eventually(Duration::from_mins(1), "a worker leads again", async || elections() >= 2).await;
    eventually(Duration::from_mins(1), "the schedule has run", async || {
        let left = primary.query_one("select count(*) from links where code = 'past'", &[]).await.unwrap();
        left.get::<_, i64>(0) == 0
    })
    .await;
    let done = |line: &&str| line.contains("job done") && line.contains("cron.purge-expired");
    let runs =
        || -> usize { workers.iter().map(|worker| system.log(worker).lines().filter(done).count()).sum() };
    eventually(Duration::from_secs(10), "its job is logged", async || runs() > 0).await;
    assert_eq!(runs(), 1, "one firing, one job");
}

/// The balancer's way to the configuration service is cut for longer than any lease of it lasts.
#[tokio::test]
async fn the_balancer_serves_on_without_the_configuration_service() {
    let system = start().await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;

    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    let cut = tokio::spawn(cut_off(&system, "balancer").await);
    eventually(Duration::from_secs(30), "it has noticed", async || {
        system.log("balancer").contains("the configuration service is away")
    })
    .await;
    let primary = system.primary().await;
    eventually(Duration::from_mins(1), "its own lease has ended", async || {
        let members = "select count(*) from onefold.kv where key like 'members/%balancer%'";
        primary.query_one(members, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    for _ in 0..50 {
        assert_eq!(client.get(&format!("/{code}")).await.status(), StatusCode::FOUND);
    }

    // It starts again from what it last knew.
    system.kill("balancer");
    eventually(Duration::from_mins(1), "it is back", async || {
        let node = system.node("balancer");
        node.restarts > 0 && node.state == Phase::Ready
    })
    .await;
    assert_eq!(client.get(&format!("/{code}")).await.status(), StatusCode::FOUND);
    cut.abort();
}

/// Ends every database connection of a node as soon as it is there, on every server.
async fn cut_off(system: &TestSystem, node: &'static str) -> impl Future<Output = ()> + use<> {
    let mut servers = Vec::new();
    for server in system.nodes().into_iter().filter(|node| node.name.as_str().starts_with("postgres-")) {
        servers.push(system.postgres(server.name.as_str()).await);
    }
    async move {
        let mut every = tokio::time::interval(Duration::from_millis(5));
        loop {
            every.tick().await;
            for server in &servers {
                let end =
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
                server.query(end, &[&node]).await.expect("end the connections");
            }
        }
    }
}
