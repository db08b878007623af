//! What a session may see, whatever node and replica serves it.

use crate::client::Client;
use crate::start;
use reqwest::Method;

const ROUNDS: usize = 1000;

#[tokio::test]
async fn after_an_update_its_session_never_sees_the_old_target() {
    let system = start().await;
    let replica = system.nodes().into_iter().find(|node| node.role == "replica").expect("a replica").name;
    let admin = system.postgres(replica.as_str()).await;
    admin.batch_execute("select pg_wal_replay_pause()").await.expect("hold the replica back");

    let mut writer = Client::of(&system);
    let code = writer.create("https://example.com/0").await;
    for round in 1..=ROUNDS {
        let target = format!("https://example.com/{round}");
        writer.retarget(&code, &target).await;
        // Another connection for each read, so that another node is likely to answer it.
        let mut reader = writer.clone();
        assert_eq!(reader.follow(&code).await, target, "round {round}");

        let strong = writer.request(Method::GET, &format!("/{code}")).header("onefold-consistency", "strong");
        let location = strong.send().await.expect("an answer").headers()["location"].clone();
        assert_eq!(location, target.as_str(), "strong read of round {round}");
    }
    // The replay that goes on may cancel the very statement that let it.
    let _ = admin.batch_execute("select pg_wal_replay_resume()").await;
}
