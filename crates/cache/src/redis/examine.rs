//! What `doctor` is told of a Redis: every server that can be found, whether it can be used, and what its settings cost.

use super::address::{Address, Endpoint, Shape};
use super::door::{Door, Unusable};
use super::facts::Facts;
use super::routes::{Range, ranges};
use super::slot::SLOTS;
use crate::config::Config;
use onefold_core::topology::{Fault, Faults};
use std::collections::BTreeSet;

/// One server, as it was found.
#[derive(Debug)]
pub struct Examined {
    /// Where it is.
    pub server: String,
    /// Its version and what it does, or why it cannot be used.
    pub outcome: Result<String, Unusable>,
    /// What should be otherwise, and what to do.
    pub remarks: Vec<(String, &'static str)>,
}

/// Looks at all servers that `cache.url` leads to.
///
/// # Errors
/// Where the configuration names none.
pub async fn examine(config: &Config) -> Result<Vec<Examined>, Faults> {
    let fault = |key: &str, problem: String, fix: &str| Faults(vec![Fault::new(key, problem, fix)]);
    let address = config.url.as_ref().ok_or("it is missing".to_owned()).and_then(Address::parse);
    let address = address.map_err(|problem| fault("cache.url", problem, super::URL_FIX))?;
    let door = Door::new(&address, config)?;
    let mut open: Vec<Endpoint> = address.seeds.clone();
    let (mut seen, mut examined, mut served) = (BTreeSet::new(), Vec::new(), None);
    while let Some(at) = open.pop() {
        if !seen.insert(at.to_string()) {
            continue;
        }
        let server = at.to_string();
        match door.open(&at).await {
            Err(problem) => examined.push(Examined { server, outcome: Err(problem), remarks: Vec::new() }),
            Ok(live) => {
                let facts = live.facts.clone();
                if address.shape == Shape::Cluster && served.is_none() {
                    let mut ask = redis::cmd("CLUSTER");
                    ask.arg("SLOTS");
                    let answer = live.send(vec![ask], false).await.ok().and_then(|mut answers| answers.pop());
                    let ranges = answer.map(|answer| ranges(&answer, &at.host)).unwrap_or_default();
                    let served_by = |range: &Range| u32::from(range.last - range.first) + 1;
                    served = Some(ranges.iter().map(served_by).sum::<u32>());
                    open.extend(ranges.into_iter().map(|range| range.master));
                }
                examined.push(Examined { server, outcome: Ok(account(&facts)), remarks: remarks(&facts) });
            }
        }
    }
    if let (Some(served), Some(last)) = (served, examined.last_mut())
        && served < u32::from(SLOTS)
    {
        let problem = format!("the cluster serves {served} of {SLOTS} slots");
        last.remarks.push((problem, "start the masters that are missing, or give their slots to others"));
    }
    Ok(examined)
}

fn account(facts: &Facts) -> String {
    let role = if facts.is_replica { "a replica" } else { "a master" };
    let kind = if facts.is_cluster { " of a cluster" } else { "" };
    format!("version {}, {role}{kind}", facts.version)
}

fn remarks(facts: &Facts) -> Vec<(String, &'static str)> {
    if !facts.refuses_when_full() {
        return Vec::new();
    }
    let problem =
        "it evicts nothing (maxmemory-policy noeviction), so that once it is full nothing new is cached";
    vec![(problem.to_owned(), "set maxmemory-policy to allkeys-lfu")]
}
