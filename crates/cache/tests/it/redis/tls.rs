//! Redis behind TLS, with a user and a password.

use super::bad_input::{examined, problem, spoken};
use super::server::{PASSWORD, Server};
use crate::history::DEAR;
use crate::node::{System, anybody, eventually, patient};
use onefold_cache::redis::Unusable;
use onefold_cache::{Config, Engine};
use onefold_core::{Clock, Secret};
use onefold_database::Session;
use onefold_database::testing::free_port;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::PathBuf;

/// What servers show, and who signed it.
pub(super) struct Shown {
    pub(super) ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Shown {
    /// A certificate for `localhost`, by that name alone.
    pub(super) fn make(directory: &tempfile::TempDir) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate for self-signed that is called like its issuer.
        params.distinguished_name.push(DnType::CommonName, "authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let file = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Self {
            ca: file("ca.pem", issuer.pem()),
            certificate: file("server.pem", certificate.pem()),
            key: file("server.key", key.serialize_pem()),
        }
    }

    /// A server's settings.
    pub(super) fn settings(&self, port: u16) -> String {
        format!(
            "tls-port {port}\ntls-auth-clients no\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n",
            self.ca.display(),
            self.certificate.display(),
            self.key.display()
        )
    }
}

/// A Redis with TLS beside its plain port, and the file of its authority.
async fn with_tls(directory: &tempfile::TempDir, settings: &str) -> (Server, u16, PathBuf) {
    let (shown, port) = (Shown::make(directory), free_port());
    (Server::start(&(shown.settings(port) + settings)).await, port, shown.ca)
}

#[tokio::test]
async fn tls_is_spoken_with_whom_we_trust() {
    let directory = tempfile::tempdir().unwrap();
    let (server, port, ca) = with_tls(&directory, "").await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_enter_by_tls_with_a_user_and_a_password() {
    // As docs/redis.md has it.
    let user = "user app on >p@ss: ~onefold:* resetchannels &onefold:* -@all +asking +cluster|slots +del +evalsha +get \
                +getrange +hello +hget +hmget +hset +info +pexpire +ping +pttl +publish +script|load +set +setrange \
                +subscribe";
    let directory = tempfile::tempdir().unwrap();
    let (_server, port, ca) = with_tls(&directory, user).await;
    let url = |password: &str| format!("rediss://app:{password}@localhost:{port}");
    assert_eq!(spoken(&url("wrong"), Some(ca.clone())).await.outcome.unwrap_err(), Unusable::Entry);
    let url = Some(Secret::new(url("p%40ss%3A")));
    in_step(Config { engine: Engine::Redis, url, ca: Some(ca), ..patient() }).await;
}

/// Two nodes share what they load, and what is pushed comes by TLS, too.
pub(super) async fn in_step(config: Config) {
    let system = System::at(Clock::system(), 2, config).await;
    let [first, second] = &system.nodes[..] else { unreachable!() };
    let mut number = 0;
    eventually("one node reads what another has loaded", async || {
        number += 1;
        let id = number.to_string();
        first.write(&Session::new(), &id, "value").await.commit().await.unwrap();
        first.get(&anybody(), &DEAR, &id).await;
        second.get(&anybody(), &DEAR, &id).await;
        second.metric(r#"onefold_cache_hits_total{level="l2"}"#) > 0.0
    })
    .await;
    let session = Session::new();
    first.put(&session, &DEAR, "1", "new").await;
    assert_eq!(second.get(&session, &DEAR, "1").await.as_deref(), Some("new"));
}
