//! What is said of a Redis that cannot be used: what is wrong, where, and what to do; never the password.

use super::server::{PASSWORD, Server, free_port};
use crate::node::eventually;
use onefold_cache::redis::{Examined, Unusable, examine};
use onefold_cache::{Config, Engine};
use onefold_core::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

async fn examined(url: &str, ca: Option<PathBuf>) -> Examined {
    let config = Config { engine: Engine::Redis, url: Some(Secret::new(url)), ca, ..Config::default() };
    let mut examined = examine(&config).await.unwrap();
    assert_eq!(examined.len(), 1, "{examined:?}");
    let examined = examined.remove(0);
    assert!(!format!("{examined:?}").contains(PASSWORD));
    examined
}

async fn problem(url: &str) -> Unusable {
    let problem = examined(url, None).await.outcome.unwrap_err();
    assert!(problem.to_string().contains(": "), "what, and what to do: {problem}");
    problem
}

/// Asks again while the server, on a slow machine, says nothing in time.
async fn spoken(url: &str, ca: Option<PathBuf>) -> Examined {
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

/// Something that is no Redis as we need it: it answers each message with the next of these, and then is silent.
async fn impostor(answers: &'static [&'static str]) -> String {
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
    const HELLO: &str = "%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n";
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

/// A Redis with TLS beside its plain port, and the file of its authority.
async fn with_tls(directory: &tempfile::TempDir) -> (Server, u16, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = file("ca.pem", issuer.pem());
    let (certificate, key) = (file("server.pem", certificate.pem()), file("server.key", key.serialize_pem()));
    let port = free_port();
    let settings = format!(
        "tls-port {port}\ntls-auth-clients no\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}",
        ca.display(),
        certificate.display(),
        key.display()
    );
    (Server::start(&settings).await, port, ca)
}

#[tokio::test]
async fn tls_is_spoken_with_whom_we_trust() {
    let directory = tempfile::tempdir().unwrap();
    let (server, port, ca) = with_tls(&directory).await;
    let url = |host: &str, port: u16| format!("rediss://:{PASSWORD}@{host}:{port}");
    let trusted = spoken(&url("localhost", port), Some(ca.clone())).await;
    assert!(trusted.outcome.is_ok(), "{:?}", trusted.outcome);
    let of = async |url: &str, ca| spoken(url, ca).await.outcome.unwrap_err();
    assert!(matches!(of(&url("127.0.0.1", port), Some(ca.clone())).await, Unusable::Tls(_)), "another name");
    assert!(matches!(of(&url("localhost", port), None).await, Unusable::Tls(_)), "a stranger");
    let plain = examined(&url("localhost", server.port), Some(ca)).await.outcome.unwrap_err();
    assert!(matches!(plain, Unusable::Tls(_) | Unusable::Silent), "it speaks no TLS: {plain:?}");
    let unencrypted = problem(&format!("redis://:{PASSWORD}@localhost:{port}")).await;
    assert!(!matches!(unencrypted, Unusable::Entry), "{unencrypted:?}");
}
