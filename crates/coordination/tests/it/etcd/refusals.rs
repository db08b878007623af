//! Wrong addresses, wrong passwords, wrong certificates: each is answered with what to do, and never with a password.

use super::servers::Servers;
use super::stage::Stage;
use onefold_coordination::etcd::Etcd;
use onefold_coordination::store::Store as _;
use onefold_coordination::{Config, Error};
use onefold_core::{Clock, Secret, TaskGroup};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

async fn refusal(stage: &Stage, config: &Config) -> Error {
    stage.store(config).list("").await.expect_err("refused")
}

fn user(config: &Config, name: &str, password: &str) -> Config {
    Config { user: Some(name.into()), password: Some(Secret::new(password)), ..config.clone() }
}

/// A server that says the beginning of what HTTP/2 begins with, and hangs up; or says that a byte at a time.
#[expect(clippy::disallowed_methods, reason = "the fault is to be slow")]
fn half(pause: Option<Duration>) -> String {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                for byte in &SETTINGS[..if pause.is_none() { 4 } else { SETTINGS.len() }] {
                    std::thread::sleep(pause.unwrap_or_default());
                    // The client hangs up when it has had enough.
                    if stream.write_all(&[*byte]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn what_does_not_fit_is_answered_with_the_address_and_the_fix() {
    let stage = Stage::new(Servers::one()).await;
    let config = Config { timeout: Duration::from_secs(1), ..stage.etcd.config() };

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let elsewhere =
        Config { endpoints: vec![format!("http://{address}").parse().unwrap()], ..config.clone() };
    let silent = refusal(&stage, &elsewhere).await;
    assert!(matches!(silent, Error::Away(_)), "{silent}");
    assert!(silent.to_string().contains(&address.to_string()), "{silent}");
    drop(nobody);
    let absent = refusal(&stage, &elsewhere).await;
    assert!(matches!(absent, Error::Away(_)) && absent.to_string().contains("refused"), "{absent}");

    for pause in [None, Some(Duration::from_secs(1))] {
        let address = half(pause);
        let half = Config { endpoints: vec![format!("http://{address}").parse().unwrap()], ..config.clone() };
        let half = refusal(&stage, &half).await;
        assert!(matches!(half, Error::Away(_)), "{half}");
        assert!(half.to_string().contains(&address), "{half}");
    }

    stage.store(&user(&config, "app", "unused")).list("").await.expect("who has no users lets everybody in");

    for arguments in [
        &["user", "add", "root:secret-root"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "onefold"],
        &["role", "grant-permission", "onefold", "readwrite", "onefold/", "onefold0"],
        &["user", "add", "app:secret-app"],
        &["user", "grant-role", "app", "onefold"],
        &["auth", "enable"],
    ] {
        stage.etcd.control(arguments);
    }
    let anonymous = refusal(&stage, &config).await.to_string();
    assert!(anonymous.contains("name coordination.user"), "{anonymous}");
    let wrong = refusal(&stage, &user(&config, "app", "secret-wrong")).await.to_string();
    assert!(wrong.contains("check coordination.user") && !wrong.contains("secret"), "{wrong}");
    let right = user(&config, "app", "secret-app");
    stage.store(&right).list("").await.expect("it is the user's own prefix");
    let another = Config { prefix: "another".into(), ..right };
    let denied = refusal(&stage, &another).await.to_string();
    assert!(denied.contains("coordination.prefix"), "{denied}");
}

/// etcd keeps tokens for a while only, in memory, and ends all when users change.
#[tokio::test]
async fn a_token_that_has_ended_is_renewed_and_nobody_notices() {
    let stage = Stage::new(Servers::start(1, "http", |_| vec!["--auth-token-ttl=1".into()])).await;
    let config = Config { timeout: Duration::from_secs(5), ..stage.etcd.config() };
    for arguments in
        [&["user", "add", "root:secret"][..], &["user", "grant-role", "root", "root"], &["auth", "enable"]]
    {
        stage.etcd.control(arguments);
    }
    let store = stage.store(&user(&config, "root", "secret"));
    store.list("").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    store.list("").await.expect("with a new token");
    stage.etcd.control(&["--user", "root:secret", "user", "add", "another:one"]);
    store.list("").await.expect("users have changed since");
}

/// An authority, a server's and a node's certificate, and another authority.
fn certificates(home: &Path) {
    let write = |name: &str, pem: String| std::fs::write(home.join(name), pem).unwrap();
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (ours, other) = (authority(), authority());
    write("ca.pem", ours.pem());
    write("other.pem", other.pem());
    for (name, issuer) in [("server", &ours), ("node", &ours), ("stranger", &other)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        write(&format!("{name}.pem"), params.signed_by(&key, issuer).unwrap().pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
}

#[tokio::test]
async fn both_sides_show_certificates_and_a_wrong_one_is_told() {
    let servers = Servers::start(1, "https", |home| {
        certificates(home);
        [
            "--cert-file=server.pem",
            "--key-file=server-key.pem",
            "--trusted-ca-file=ca.pem",
            "--client-cert-auth=true",
        ]
        .map(str::to_owned)
        .to_vec()
    });
    let (home, defaults) = (servers.home().to_owned(), servers.config());
    let file = |name: &str| Some(home.join(name));
    let shown = |ca: &str, name: &str| Config {
        ca: file(ca),
        certificate: file(&format!("{name}.pem")),
        key: file(&format!("{name}-key.pem")),
        timeout: Duration::from_secs(2),
        ..defaults.clone()
    };
    let config = shown("ca.pem", "node");
    let stage = Stage::new_with(servers, &config).await;

    let untrusted = refusal(&stage, &shown("other.pem", "node")).await.to_string();
    assert!(untrusted.contains("coordination.ca"), "{untrusted}");
    let stranger = refusal(&stage, &shown("ca.pem", "stranger")).await.to_string();
    assert!(stranger.contains("coordination.certificate"), "{stranger}");
    let bare = Config { certificate: None, key: None, ..shown("ca.pem", "node") };
    let bare = refusal(&stage, &bare).await.to_string();
    assert!(bare.contains("coordination.certificate"), "{bare}");

    let missing = Config { ca: file("missing.pem"), ..shown("ca.pem", "node") };
    let fault = Etcd::new(&missing, stage.database.clone(), TaskGroup::new(), Clock::system()).unwrap_err();
    assert_eq!(fault.key, "coordination.ca");
}
