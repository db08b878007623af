//! Servers that answer late, half or not at all: what is said of them, and that nobody waits for them.

use super::bad_input::{HELLO, impostor, problem};
use super::server::PASSWORD;
use crate::node::{PATIENCE, System, eventually};
use onefold_cache::redis::{Redis, Unusable};
use onefold_cache::{CacheKey, Config, Engine, L2, Want};
use onefold_core::{Secret, TaskGroup};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server whose connections are each served so.
async fn served<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://:{PASSWORD}@{}", listener.local_addr().unwrap());
    let tasks = TaskGroup::new();
    tasks.clone().spawn("server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = serve(stream);
            tasks.spawn("connection", async move {
                // The client hangs up when it has had enough.
                let _ = serving.await;
            });
        }
    });
    url
}

/// Hangs up in the midst of its first answer.
async fn closes(mut stream: TcpStream) -> std::io::Result<()> {
    let heard = stream.read(&mut [0; 4096]).await?;
    stream.write_all(&HELLO.as_bytes()[..heard.min(10)]).await
}

/// Says a byte each second.
async fn drips(mut stream: TcpStream) -> std::io::Result<()> {
    for byte in HELLO.bytes() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream.write_all(&[byte]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_drips_or_hangs_up_is_told_of() {
    let (closing, dripping) = (served(closes).await, served(drips).await);
    let (closing, dripping) = tokio::join!(problem(&closing), problem(&dripping));
    assert!(matches!(closing, Unusable::Unreachable(_) | Unusable::Nonsense(_)), "{closing:?}");
    assert_eq!(dripping, Unusable::Silent);
}

/// It lets nodes in, and then says nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_keeps_nobody_waiting() {
    let url = impostor(&[HELLO, "$21\r\nredis_version:7.0.15\r\n", "+OK\r\n"]).await;
    let system = System::start(1).await;
    let node = &system.nodes[0];
    let l2_timeout = Duration::from_millis(200);
    let config =
        Config { engine: Engine::Redis, url: Some(Secret::new(url)), l2_timeout, ..Config::default() };
    let engine = Redis::start(&config, node.database.clone(), &node.tasks).unwrap();
    eventually("it says why", async || {
        let got = tokio::time::timeout(PATIENCE, engine.get(&CacheKey::new("thing", "1"), Want::Value)).await;
        let error = got.expect("nothing hangs").expect_err("there is no value");
        assert!(error.to_string().contains("127.0.0.1:"), "{error}");
        engine.problem().is_some_and(|problem| problem.contains("127.0.0.1:"))
    })
    .await;
}
