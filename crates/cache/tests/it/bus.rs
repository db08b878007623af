//! What nodes tell each other, whatever carries it, and what its loss does.

use crate::node::{Node, anybody, eventually, undisturbed, within};
use onefold_cache::Cached;
use onefold_core::Boot;
use onefold_database::{Heard, Session};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

const CHEAP: Cached<str, String> = Cached::new("cheap", Duration::from_mins(1));

/// Gives each node a copy of a thing that is changed then, without anybody being told of it.
async fn leave_behind(nodes: &[Node], id: &str) {
    nodes[0].write(&Session::new(), id, "old").await.commit().await.unwrap();
    for node in nodes {
        node.get(&anybody(), &CHEAP, id).await;
    }
    nodes[0].write(&Session::new(), id, "new").await.commit().await.unwrap();
    for node in nodes {
        assert_eq!(node.get(&anybody(), &CHEAP, id).await.as_deref(), Some("old"), "a copy");
    }
}

/// An invalidation is told, and who hears such a thing drops its copy: by that alone, for nothing stands in the
/// outbox.
pub(crate) async fn is_told_and_heard(
    nodes: &[Node],
    mut heard: mpsc::Receiver<Heard>,
    tell: impl Fn(String),
) {
    within("it is listened to", async {
        while heard.recv().await.expect("a listener") != Heard::Subscribed {}
    })
    .await;
    let mut told: Option<Value> = None;
    let told_key = json!(CHEAP.key("told").text());
    eventually("it is told", async || {
        nodes[0].put(&Session::new(), &CHEAP, "told", "value").await;
        while let Ok(next) = heard.try_recv() {
            let Heard::Payload(payload) = next else { continue };
            let message: Value = serde_json::from_str(&payload).unwrap();
            if message["keys"].as_array().unwrap().contains(&told_key) {
                told = Some(message);
            }
        }
        told.is_some()
    })
    .await;
    let others = &nodes[1..];
    undisturbed(nodes, async |id: &str| {
        leave_behind(others, id).await;
        let mut message = told.clone().unwrap();
        // As if from one more node: whoever has told it already, as its writer or for it, does not listen to itself.
        message["from"] = json!(Boot::new());
        message["keys"] = json!([CHEAP.key(id).text()]);
        for node in others {
            // A hint may be lost.
            eventually("it is heard", async || {
                tell(message.to_string());
                node.get(&anybody(), &CHEAP, id).await.as_deref() == Some("new")
            })
            .await;
        }
    })
    .await;
}

/// What was missed meanwhile is not known, and so everything goes.
pub(crate) async fn a_loss_empties(nodes: &[Node], cut: impl AsyncFn()) {
    let id = undisturbed(nodes, async |id: &str| {
        leave_behind(nodes, id).await;
        id.to_owned()
    })
    .await;
    let lost = |node: &Node| node.metric(r#"onefold_cache_gaps_total{source="bus"}"#);
    let before: Vec<f64> = nodes.iter().map(lost).collect();
    cut().await;
    for (node, before) in nodes.iter().zip(before) {
        eventually("the loss is seen", async || lost(node) > before).await;
        eventually("the node is in step again", async || node.cache.is_in_step()).await;
        assert_eq!(node.get(&anybody(), &CHEAP, &id).await.as_deref(), Some("new"));
    }
    undisturbed(nodes, async |id: &str| {
        for node in nodes {
            node.get(&anybody(), &CHEAP, id).await;
            let loads = node.loads();
            node.get(&anybody(), &CHEAP, id).await;
            assert_eq!(node.loads(), loads, "and it caches again");
        }
    })
    .await;
}
