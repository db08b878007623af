//! The order of the processes: a graph without circles in which all names are known.

use crate::error::Error;
use onefold_core::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// Checks that processes, given as name and predecessors, can be started after those that run already.
pub(crate) fn check(running: &BTreeSet<NodeName>, new: &[(NodeName, Vec<NodeName>)]) -> Result<(), Error> {
    let mut waiting = BTreeMap::new();
    for (name, after) in new {
        if running.contains(name) || waiting.insert(name, after).is_some() {
            return Err(Error::Graph(format!("two processes are named {name}")));
        }
    }
    for (name, after) in &waiting {
        if let Some(unknown) =
            after.iter().find(|other| !running.contains(other) && !waiting.contains_key(other))
        {
            return Err(Error::Graph(format!("{name} starts after {unknown}, which does not exist")));
        }
    }
    while !waiting.is_empty() {
        let before = waiting.len();
        let names: BTreeSet<&NodeName> = waiting.keys().copied().collect();
        waiting.retain(|_, after| after.iter().any(|other| names.contains(other)));
        if waiting.len() == before {
            let names = names.into_iter().map(NodeName::to_string).collect::<Vec<_>>().join(", ");
            return Err(Error::Graph(format!("these processes wait for each other: {names}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(running: &[&str], new: &[(&str, &[&str])]) -> Result<(), String> {
        let name = |text: &&str| text.parse::<NodeName>().unwrap();
        let new: Vec<_> = new.iter().map(|(n, after)| (name(n), after.iter().map(name).collect())).collect();
        check(&running.iter().map(name).collect(), &new).map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_never_start_is_refused_by_name() {
        assert_eq!(checked(&["db"], &[("app", &["db"]), ("lb", &["app"])]), Ok(()));
        assert!(checked(&["db"], &[("db", &[])]).unwrap_err().contains("two processes are named db"));
        assert!(checked(&[], &[("app", &["db"])]).unwrap_err().contains("app starts after db"));
        let circle = checked(&[], &[("a", &["b"]), ("b", &["a"]), ("c", &[])]).unwrap_err();
        assert!(circle.ends_with("a, b"), "{circle}");
    }
}
