//! TLS to a real server: what each `sslmode` takes, and what is said of what it does not take.

use crate::node::{Node, config};
use onefold_core::Secret;
use onefold_database::testing::TestPostgres;
use onefold_database::{Config, Error, Read};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::Path;

const IS_ENCRYPTED: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// An authority, and what it has issued.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL takes a certificate that is named as its issuer is for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// A certificate and its key, in PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

async fn attempt(url: String) -> Result<bool, Error> {
    let config = Config { url: Some(Secret::new(url)), ..config() };
    let node = Node::attempt(&config, "a").await?;
    node.db().read(Read::Strong).query_one(IS_ENCRYPTED, &[]).await
}

async fn refused(url: String) -> String {
    attempt(url).await.unwrap_err().to_string()
}

fn file(directory: &Path, name: &str, pem: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, pem).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn every_sslmode_takes_what_it_says_and_no_less() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (certificate, key) = ours.issue("localhost");
    let server = TestPostgres::encrypted(&certificate, &key, &ours.issuer.pem()).await;
    server.client().await.batch_execute("create role tls superuser login").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| file(directory.path(), name, pem);
    let (ca, foreign) = (file("ca.pem", &ours.issuer.pem()), file("foreign.pem", &theirs.issuer.pem()));
    let (own, own_key) = ours.issue("app");
    let shown = format!("sslcert={}&sslkey={}", file("own.pem", &own), file("own-key.pem", &own_key));
    let port = server.port();
    let url =
        |user: &str, host: &str, options: &str| format!("postgres://{user}@{host}:{port}/postgres?{options}");

    // The server shows a certificate for `localhost`, by our authority.
    let full = format!("sslmode=verify-full&sslrootcert={ca}");
    assert!(attempt(url("postgres", "localhost", &full)).await.unwrap());
    assert!(attempt(url("tls", "localhost", &format!("{full}&{shown}"))).await.unwrap());
    assert!(
        attempt(url("postgres", "127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={ca}"))).await.unwrap()
    );
    assert!(attempt(url("postgres", "127.0.0.1", "sslmode=require")).await.unwrap());
    assert!(!attempt(url("postgres", "127.0.0.1", "sslmode=disable")).await.unwrap());

    let name = refused(url("postgres", "127.0.0.1", &full)).await;
    assert!(name.contains("write a name that the certificate holds"), "{name}");
    for mode in ["verify-ca", "verify-full"] {
        let issuer =
            refused(url("postgres", "localhost", &format!("sslmode={mode}&sslrootcert={foreign}"))).await;
        assert!(issuer.contains("not trusted") && issuer.contains("database.url (sslrootcert)"), "{issuer}");
    }
    let certificate = refused(url("tls", "localhost", &full)).await;
    assert!(certificate.contains("certificate"), "{certificate}");
    let (other, other_key) = theirs.issue("app");
    let shown = format!("sslcert={}&sslkey={}", file("other.pem", &other), file("other-key.pem", &other_key));
    let foreigner = refused(url("tls", "localhost", &format!("{full}&{shown}"))).await;
    assert!(foreigner.contains("does not take this node's certificate"), "{foreigner}");
    let plain = refused(url("tls", "localhost", "sslmode=disable")).await;
    assert!(plain.contains("28000"), "{plain}");

    let missing = refused(url("postgres", "localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem")).await;
    assert!(missing.contains("/nowhere.pem") && missing.contains("database.url"), "{missing}");
    let half = refused(url("postgres", "localhost", &format!("{full}&sslcert={ca}"))).await;
    assert!(half.contains("belong together"), "{half}");
    let both = refused(url("postgres", "localhost", &format!("sslmode=require&sslrootcert={ca}"))).await;
    assert!(both.contains("verifies nobody"), "{both}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_as_such() {
    let server = TestPostgres::start().await;
    let told = refused(format!("{}?sslmode=require", server.url())).await;
    assert!(told.contains("speaks no TLS") && told.contains("ssl = on"), "{told}");
}
