//! NATS, where it carries the queue's jobs: whether it answers, what it is, and what it keeps.

use super::finding::Finding;
use crate::topology::Topology;
use onefold_queue::Engine;
use onefold_queue::nats::{Facts, Server};

pub(super) async fn check(topology: &Topology) -> Vec<Finding> {
    if topology.queue.engine != Engine::Nats {
        return Vec::new();
    }
    let server = match Server::connect(&topology.queue, "doctor").await {
        Ok(server) => server,
        Err(onefold_queue::Error::Unusable { engine, address, problem, fix }) => {
            return vec![Finding::Wrong { problem: format!("queue: {engine} at {address}: {problem}"), fix }];
        }
        Err(error) => {
            return vec![Finding::Wrong { problem: error.to_string(), fix: AWAY.to_owned() }];
        }
    };
    match (server.answers().await, server.facts()) {
        (Ok(()), Some(facts)) => of(&facts, server.address()),
        (answer, _) => {
            let why = answer.err().map_or_else(|| "no answer".to_owned(), |error| error.to_string());
            vec![Finding::Wrong { problem: why, fix: AWAY.to_owned() }]
        }
    }
}

const AWAY: &str =
    "start it, or correct queue.url; jobs are accepted meanwhile, and kept in the database until it is back";

fn of(facts: &Facts, address: &str) -> Vec<Finding> {
    let mut findings = vec![Finding::Good(format!(
        "queue: nats at {address} answers with JetStream, version {}",
        facts.version
    ))];
    if facts.is_frail {
        findings.push(Finding::Note(format!(
            "queue: NATS {} is older than 2.10.23: bugs in the replication of streams and consumers were mended \
             since, and it takes acknowledgements of earlier deliveries (nats-server 4786); ours are fenced by the \
             database",
            facts.version
        )));
    }
    let sync = if facts.knows_sync {
        "a loss of power on all of them what they have synced: every write, with sync_interval: always; up to two \
         minutes are lost with the default"
    } else {
        "a loss of power on all of them what they have synced: this version knows no sync_interval, and syncs every \
         two minutes"
    };
    let servers = match facts.replicas {
        1 => "a job that was relayed is on one server: it survives its restart, not the loss of its disk"
            .to_owned(),
        replicas => {
            format!(
                "a job that was relayed is on {replicas} servers: it survives the loss of {}",
                (replicas - 1) / 2
            )
        }
    };
    findings.push(Finding::Note(format!("queue: {servers}; and {sync}")));
    findings
}
