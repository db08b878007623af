//! What cannot be used is refused, in words that name tier, engine, address and fix, and never the password.

use super::config;
use super::server::TestNats;
use onefold_queue::Config;
use onefold_queue::nats::Server;
use std::io::Write as _;
use std::net::TcpListener;

/// Connects, until the server has come up and refuses for good.
pub(crate) async fn refusal(config: &Config) -> String {
    for _ in 0..20 {
        match Server::connect(config, "test").await {
            Err(error @ onefold_queue::Error::Unusable { .. }) => return error.to_string(),
            _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
    panic!("it was not refused");
}

pub(crate) fn says(refusal: &str, words: &[&str]) {
    for word in words {
        assert!(refusal.contains(word), "`{word}` is not in: {refusal}");
    }
    assert!(!refusal.contains("wrong-password"), "{refusal}");
}

#[tokio::test]
async fn wrong_password_is_refused() {
    let nats = TestNats::one();
    let refused = refusal(&config(&nats.url_as("onefold:wrong-password@"))).await;
    says(&refused, &["queue", "nats at 127.0.0.1:", "credentials", "queue.url"]);
}

#[tokio::test]
async fn server_without_jetstream_is_refused() {
    let nats = TestNats::only("server_name: plain\n");
    let refused = refusal(&config(&nats.url_as(""))).await;
    says(&refused, &["queue", "nats at 127.0.0.1:", "without JetStream", "jetstream {"]);
}

#[tokio::test]
async fn server_that_takes_small_messages_only_is_refused() {
    let nats = TestNats::only("server_name: small\nmax_payload: 1000\njetstream { store_dir: \"STORE\" }\n");
    says(&refusal(&config(&nats.url_as(""))).await, &["1000 bytes", "max_payload"]);
}

#[tokio::test]
async fn tls_where_the_server_has_none_is_refused() {
    let nats = TestNats::one();
    let url = nats.url().replace("nats://", "tls://");
    says(&refusal(&config(&url)).await, &["TLS", "queue.ca", "127.0.0.1:"]);
}

/// A server of another time, played by its first line.
#[tokio::test]
async fn old_server_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let info = r#"INFO {"server_id":"x","server_name":"x","version":"2.2.0","proto":1,"go":"go","host":"h","port":1,"headers":true,"max_payload":1048576,"jetstream":true,"client_id":1}"#;
            // The client says no more before it has this, and hangs up when the test is over.
            let _ = stream.write_all(format!("{info}\r\nPONG\r\n").as_bytes());
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    says(&refusal(&config(&url)).await, &["2.2.0", "too old", "2.10.23"]);
}

/// A server that takes the connection and says nothing is no reason not to start: the database keeps the jobs.
#[tokio::test]
async fn silent_server_is_tried_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    let server = Server::connect(&config(&url), "test").await.expect("it goes on in the background");
    assert!(!server.is_connected() && server.facts().is_none());
}

#[tokio::test]
async fn authority_that_is_no_file_is_refused() {
    let nats = TestNats::one();
    let wrong = Config { ca: Some("/nowhere/ca.pem".into()), ..config(&nats.url()) };
    says(&refusal(&wrong).await, &["queue.ca", "/nowhere/ca.pem"]);
}
