//! What turns out to matter on one node is asked for on all: the others still hold their part of its trace.

use crate::admin::{KEEP, KEPT_MAX};
use crate::probe;
use futures_util::stream::{self, StreamExt as _};
use onefold_core::{Members, NodeName, TaskGroup, TraceId};
use onefold_observability::emit::Emitter;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Traces that come within this time of each other are asked for at once.
const GATHER: Duration = Duration::from_millis(100);
/// How long a node may take: its part is worth no more waiting, since others are to be asked for.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many nodes are asked at the same time.
const ASKED_MAX: usize = 16;

/// Asks for as long as the node runs.
pub(super) fn start(emitter: &Emitter, members: watch::Receiver<Members>, own: &NodeName, tasks: &TaskGroup) {
    let (triggered, own, stopping) = (emitter.triggered(), own.clone(), tasks.stopping());
    tasks.spawn("recall", async move {
        let _ = stopping.run_until_cancelled(ask(triggered, members, own)).await;
    });
}

async fn ask(mut triggered: mpsc::Receiver<TraceId>, members: watch::Receiver<Members>, own: NodeName) {
    let mut traces = Vec::with_capacity(KEPT_MAX);
    while triggered.recv_many(&mut traces, 1).await > 0 {
        tokio::time::sleep(GATHER).await;
        while traces.len() < KEPT_MAX
            && let Ok(trace) = triggered.try_recv()
        {
            traces.push(trace);
        }
        let ids: Vec<String> = traces.drain(..).map(|trace| trace.to_string()).collect();
        // Strings always serialize.
        let body = serde_json::to_string(&ids).unwrap_or_default();
        let present = members.borrow().clone();
        let others = present.iter().filter(|member| member.name != own);
        stream::iter(others)
            .for_each_concurrent(ASKED_MAX, |member| {
                let body = body.clone();
                async move {
                    if let Err(reason) = probe::post(member.admin, KEEP, body, PATIENCE).await {
                        tracing::debug!(node = member.name.as_str(), reason, "ask for parts of traces");
                    }
                }
            })
            .await;
    }
}
