//! The machine and the nodes.

use super::super::reach::Reach;
use super::finding::Finding;
use nix::sys::resource::{Resource, getrlimit};

/// Below this a node under load runs out of connections before anything else.
const FILES_MIN: u64 = 4096;

pub(super) fn check() -> Option<Finding> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let what = format!("{soft} open files are allowed");
    Some(Finding::of(soft >= FILES_MIN, what, "raise it to 4096 or more, with `ulimit -n`"))
}

pub(super) async fn members(reach: &Reach) -> Finding {
    match reach.coordination.settings().nodes().await {
        Ok(nodes) => {
            let names: Vec<&str> = nodes.iter().map(|node| node.node.as_str()).collect();
            let what = format!("{} members: {}", names.len(), names.join(", "));
            Finding::of(!names.is_empty(), what, "start the nodes")
        }
        Err(error) => Finding::Wrong {
            problem: format!("the configuration service does not answer: {error}"),
            fix: "the nodes serve on with what they last knew; look at the primary".to_owned(),
        },
    }
}
