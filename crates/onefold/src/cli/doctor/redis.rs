//! Redis: its servers, and the settings that the cache needs.

use super::finding::Finding;
use crate::topology::Topology;
use onefold_cache::Engine;
use onefold_cache::redis::examine;

pub(super) async fn check(topology: &Topology) -> Vec<Finding> {
    if topology.cache.engine != Engine::Redis {
        return Vec::new();
    }
    let examined = match examine(&topology.cache).await {
        Ok(examined) => examined,
        Err(faults) => return faults.0.iter().map(|fault| wrong(fault.to_string(), "correct it")).collect(),
    };
    let mut findings = Vec::new();
    for server in examined {
        let name = format!("cache: Redis at {}", server.server);
        findings.push(match server.outcome {
            Ok(account) => Finding::Good(format!("{name} is {account}")),
            Err(problem) => wrong(format!("{name}: {problem}"), "reads do without it meanwhile"),
        });
        let remarks = server.remarks.into_iter();
        findings.extend(remarks.map(|(problem, fix)| wrong(format!("{name}: {problem}"), fix)));
    }
    findings
}

fn wrong(problem: String, fix: &str) -> Finding {
    Finding::Wrong { problem, fix: fix.to_owned() }
}
