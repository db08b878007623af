//! What a session may see, whatever node and replica serves it.

use crate::client::Client;
use crate::start_quiet;
use reqwest::Method;
use tokio::task::JoinSet;

const ROUNDS: usize = 1000;
/// Sessions at once, each with a link of its own and its share of the rounds.
const SESSIONS: usize = 8;

#[tokio::test]
async fn after_an_update_its_session_never_sees_the_old_target() {
    let system = start_quiet().await;
    let replica = system.nodes().into_iter().find(|node| node.role == "replica").expect("a replica").name;
    let admin = system.postgres(replica.as_str()).await;
    admin.batch_execute("select pg_wal_replay_pause()").await.expect("hold the replica back");

    let mut sessions = JoinSet::new();
    for _ in 0..SESSIONS {
        sessions.spawn(update_and_read(Client::of(&system), ROUNDS / SESSIONS));
    }
    while let Some(session) = sessions.join_next().await {
        session.expect("a session saw what it may");
    }
    // The replay that goes on may cancel the very statement that let it.
    let _ = admin.batch_execute("select pg_wal_replay_resume()").await;
}

async fn update_and_read(mut writer: Client, rounds: usize) {
    let code = writer.create("https://example.com/0").await;
    for round in 1..=rounds {
        let target = format!("https://example.com/{round}");
        writer.retarget(&code, &target).await;
        // A clone, so that another connection may answer it, and another node.
        let mut reader = writer.clone();
        assert_eq!(reader.follow(&code).await, target, "round {round}");

        let strong = writer.request(Method::GET, &format!("/{code}")).header("onefold-consistency", "strong");
        let location = strong.send().await.expect("an answer").headers()["location"].clone();
        assert_eq!(location, target.as_str(), "strong read of round {round}");
    }
}
