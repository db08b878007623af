//! Servers that answer late, half or not at all, from the beginning and in the midst of the work: nobody waits for
//! them for ever, jobs are taken, and what is said names the engine and its address.

use super::cluster::{applied, enqueue, make_effects, start};
use super::refused::says;
use super::server::TestNats;
use super::{config, until, world_of};
use onefold_core::TaskGroup;
use onefold_queue::nats::Server;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const GREETING: &str = r#"INFO {"server_id":"x","server_name":"x","version":"2.10.25","proto":1,"go":"go","host":"h","port":1,"headers":true,"max_payload":1048576,"jetstream":true,"client_id":1}"#;
/// What no call may take; several times what any does.
const FOREVER: Duration = Duration::from_mins(1);

/// What is wrong with a server.
#[derive(Clone, Copy)]
enum Fault {
    /// It hangs up in the midst of its greeting.
    Closes,
    /// It says a byte each second.
    Drips,
    /// It lets everybody in, and its JetStream says nothing.
    Deaf,
}

impl Fault {
    #[expect(clippy::disallowed_methods, reason = "the fault is to be slow")]
    fn serve(self, mut stream: TcpStream) -> std::io::Result<()> {
        match self {
            Self::Closes => stream.write_all(&GREETING.as_bytes()[..40]),
            Self::Drips => GREETING.bytes().try_for_each(|byte| {
                std::thread::sleep(Duration::from_secs(1));
                stream.write_all(&[byte])
            }),
            Self::Deaf => {
                stream.write_all(format!("{GREETING}\r\n").as_bytes())?;
                let mut heard = [0; 4096];
                loop {
                    let length = stream.read(&mut heard)?;
                    if length == 0 {
                        return Ok(());
                    }
                    if heard[..length].windows(4).any(|word| word == b"PING") {
                        stream.write_all(b"PONG\r\n")?;
                    }
                }
            }
        }
    }
}

/// A server with a fault, played until the test is over.
fn with(fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("nats://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The client hangs up when it has had enough.
            std::thread::spawn(move || fault.serve(stream));
        }
    });
    url
}

#[tokio::test]
async fn a_node_starts_beside_a_server_that_answers_late_half_or_not_at_all() {
    let starts = async |fault, word: &str| {
        let server = Server::connect(&config(&with(fault)), "test").await.expect("it is tried on");
        let problem = server.answers().await.expect_err("it does not").to_string();
        says(&problem, &["nats at 127.0.0.1:", word]);
    };
    let all = async {
        tokio::join!(
            starts(Fault::Closes, "not connected"),
            starts(Fault::Drips, "not connected"),
            starts(Fault::Deaf, "JetStream did not answer")
        )
    };
    tokio::time::timeout(FOREVER, Box::pin(all)).await.expect("nothing hangs");
}

/// What the client has begun with the server that hangs may yet arrive, or be done again: each job is applied once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_keeps_nobody_from_enqueueing() {
    let nats = Arc::new(Mutex::new(TestNats::one()));
    let url = nats.lock().expect("unpoisoned").url();
    let world = world_of(Arc::clone(&nats), url.clone()).await;
    let (engine, tasks) = (world.engine(), TaskGroup::new());
    make_effects(&engine.database).await;
    let queue = start(&engine, &tasks);
    enqueue(&queue, 0..50).await;
    until("it works", async || applied(&engine.database).await.0 == 50).await;
    let server = Server::connect(&config(&url), "test").await.expect("connect");
    until("it answers", async || server.answers().await.is_ok()).await;

    nats.lock().expect("unpoisoned").signal("-STOP");
    tokio::time::timeout(FOREVER, enqueue(&queue, 50..100))
        .await
        .expect("it is the database that takes jobs");
    let asked = tokio::time::timeout(FOREVER, server.answers()).await.expect("nothing hangs");
    says(&asked.expect_err("it hangs").to_string(), &["nats at 127.0.0.1:"]);
    nats.lock().expect("unpoisoned").signal("-CONT");
    until("it goes on", async || applied(&engine.database).await == (100, 100)).await;
    assert!(tasks.stop(Duration::from_secs(10)).await, "every task ends by itself");
}
