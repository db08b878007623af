//! What is said of a Redis that cannot be used: what is wrong, where, and what to do; never the password.

use super::server::{PASSWORD, Server};
use crate::node::eventually;
use onefold_cache::redis::{Examined, Unusable, examine};
use onefold_cache::{Config, Engine};
use onefold_core::Secret;
use onefold_database::testing::free_port;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// All servers that a URL leads to.
pub(super) async fn all_examined(url: &str, ca: Option<PathBuf>) -> Vec<Examined> {
    let config = Config { engine: Engine::Redis, url: Some(Secret::new(url)), ca, ..Config::default() };
    let examined = examine(&config).await.unwrap();
    assert!(!format!("{examined:?}").contains(PASSWORD));
    examined
}

pub(super) async fn examined(url: &str, ca: Option<PathBuf>) -> Examined {
    let mut examined = all_examined(url, ca).await;
    assert_eq!(examined.len(), 1, "{examined:?}");
    examined.remove(0)
}

pub(super) async fn problem(url: &str) -> Unusable {
    let problem = examined(url, None).await.outcome.unwrap_err();
    assert!(problem.to_string().contains(": "), "what, and what to do: {problem}");
    problem
}

/// Asks again while the server, on a slow machine, says nothing in time.
pub(super) async fn spoken(url: &str, ca: Option<PathBuf>) -> Examined {
    let mut found = None;
    eventually("it says something", async || {
        let examined = examined(url, ca.clone()).await;
        let silent = matches!(examined.outcome, Err(Unusable::Silent));
        found = Some(examined);
        !silent
    })
    .await;
    found.unwrap()
}

async fn spoken_problem(url: &str) -> Unusable {
    let problem = spoken(url, None).await.outcome.unwrap_err();
    assert!(problem.to_string().contains(": "), "what, and what to do: {problem}");
    problem
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_told_why() {
    let server = Server::start("maxmemory 50mb").await;
    let at = format!("127.0.0.1:{}", server.port);
    let nobody = format!("redis://:{PASSWORD}@127.0.0.1:{}", free_port());
    assert!(matches!(spoken_problem(&nobody).await, Unusable::Unreachable(_)));
    assert_eq!(spoken_problem(&format!("redis://:wrong@{at}")).await, Unusable::Entry);
    assert_eq!(spoken_problem(&format!("redis://nobody:{PASSWORD}@{at}")).await, Unusable::Entry);
    assert_eq!(spoken_problem(&format!("redis://{at}")).await, Unusable::Entry);
    assert_eq!(spoken_problem(&format!("redis-cluster://:{PASSWORD}@{at}")).await, Unusable::NoCluster);
    let mut client = server.client().await;
    let mut limit = redis::cmd("ACL");
    limit
        .arg("SETUSER")
        .arg("poor")
        .arg("on")
        .arg(format!(">{PASSWORD}"))
        .arg("~*")
        .arg("+@all")
        .arg("-script");
    limit.query_async::<()>(&mut client).await.unwrap();
    assert!(matches!(spoken_problem(&format!("redis://poor:{PASSWORD}@{at}")).await, Unusable::Forbidden(_)));

    let good = spoken(&server.url(), None).await;
    assert!(good.outcome.unwrap().starts_with("version 7."));
    assert!(good.remarks[0].0.contains("noeviction"), "it is full one day: {:?}", good.remarks);
}

/// What a Redis says to who enters.
pub(super) const HELLO: &str = "%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n";

/// Something that is no Redis as we need it: it answers each message with the next of these, and then is silent.
pub(super) async fn impostor(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://:{PASSWORD}@{}", listener.local_addr().unwrap());
    onefold_core::TaskGroup::new().spawn("impostor", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut said = [0; 4096];
            for answer in answers {
                let heard = stream.read(&mut said).await.is_ok_and(|read| read > 0);
                if !heard || stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
            while stream.read(&mut said).await.is_ok_and(|read| read > 0) {}
        }
    });
    url
}

#[tokio::test]
async fn an_old_a_silent_and_a_broken_server_are_told_apart() {
    let old = impostor(&[HELLO, "$22\r\nredis_version:6.2.14\r\n\r\n"]).await;
    assert_eq!(spoken_problem(&old).await, Unusable::Version("6.2.14".to_owned()));
    let (nothing, half) = (impostor(&[]).await, impostor(&[HELLO, "$100\r\nredis_ver"]).await);
    let silent = futures_util::future::join(problem(&nothing), problem(&half)).await;
    assert_eq!(silent, (Unusable::Silent, Unusable::Silent));
    assert!(matches!(
        spoken_problem(&impostor(&["HTTP/1.1 400 Bad Request\r\n\r\n"]).await).await,
        Unusable::Nonsense(_)
    ));
}
