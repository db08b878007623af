//! Servers behind TLS, and such that know their clients by a token.

use super::config;
use super::refused::{refusal, says};
use super::server::TestNats;
use onefold_core::Secret;
use onefold_queue::Config;
use onefold_queue::nats::Server;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A server that shows a certificate of one authority, and another authority.
struct Behind {
    nats: TestNats,
    home: TempDir,
}

impl Behind {
    /// With more settings than those of JetStream and TLS.
    fn tls(more: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        certificates(home.path());
        let file = |name: &str| home.path().join(name).display().to_string();
        let tls = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\" }}",
            file("server.pem"),
            file("server-key.pem")
        );
        let nats = TestNats::only(&format!(
            "server_name: one\njetstream {{ store_dir: \"STORE\" }}\n{tls}\n{more}\n"
        ));
        Self { nats, home }
    }

    fn authority(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn url(&self, scheme: &str) -> String {
        self.nats.url_as("").replace("nats://", scheme)
    }
}

fn certificates(home: &Path) {
    let write = |name: &str, pem: String| std::fs::write(home.join(name), pem).expect("write a file");
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
    };
    let (ours, other) = (authority(), authority());
    write("ca.pem", ours.pem());
    write("other.pem", other.pem());
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    write("server.pem", params.signed_by(&key, &ours).expect("a certificate").pem());
    write("server-key.pem", key.serialize_pem());
}

/// Waits until JetStream answers: the server may only just have begun to listen.
async fn answers(config: &Config) {
    let server = Server::connect(config, "test").await.expect("connect");
    super::until("it answers", async || server.answers().await.is_ok()).await;
}

#[tokio::test]
async fn server_behind_tls_is_used_with_the_authority_that_issued_its_certificate() {
    let behind = Behind::tls("");
    let ca = Some(behind.authority("ca.pem"));
    // A server that wants TLS says so, whatever the URL does.
    for scheme in ["tls://", "nats://"] {
        answers(&Config { ca: ca.clone(), ..config(&behind.url(scheme)) }).await;
    }
}

#[tokio::test]
async fn certificate_that_nobody_vouches_for_is_refused() {
    let behind = Behind::tls("");
    let other = Some(behind.authority("other.pem"));
    for scheme in ["tls://", "nats://"] {
        let untrusted = Config { ca: other.clone(), ..config(&behind.url(scheme)) };
        says(&refusal(&untrusted).await, &["nats at 127.0.0.1:", "certificate", "not trusted", "queue.ca"]);
    }
}

#[tokio::test]
async fn certificate_for_another_name_is_refused() {
    let behind = Behind::tls("");
    let url = behind.url("tls://").replace("127.0.0.1", "localhost");
    let elsewhere = Config { ca: Some(behind.authority("ca.pem")), ..config(&url) };
    says(
        &refusal(&elsewhere).await,
        &["nats at localhost:", "not trusted", "a name that the certificate holds"],
    );
}

#[tokio::test]
async fn token_lets_in_and_a_wrong_one_does_not() {
    let behind = Behind::tls("authorization { token: \"a-token-of-tests\" }");
    let with = |token: &str| Config {
        token: Some(Secret::new(token)),
        ca: Some(behind.authority("ca.pem")),
        ..config(&behind.url("tls://"))
    };
    answers(&with("a-token-of-tests")).await;
    says(&refusal(&with("wrong-password")).await, &["credentials", "queue.token"]);
}
