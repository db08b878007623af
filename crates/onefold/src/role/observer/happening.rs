//! What happened between two pictures, in words for whoever watches.

use super::picture::{Node, Picture, State};
use super::stamp::Stamp;
use onefold_chaos::Fault;
use onefold_core::NodeName;
use serde::Serialize;
use std::time::SystemTime;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Happening {
    at: Stamp,
    kind: What,
    /// None where it is about none alone.
    node: Option<NodeName>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Started,
    Died,
    Restarted,
    Draining,
    Left,
    Promoted,
    Elected,
    Fault,
    Healed,
}

/// All that happened from one picture to the next. The first picture is where watching begins: nothing has
/// happened before it.
pub(super) fn between(before: &Picture, after: &Picture, at: SystemTime) -> Vec<Happening> {
    if before.nodes.is_empty() {
        return Vec::new();
    }
    let at = Stamp(at.into());
    let mut told = Vec::new();
    for node in &after.nodes {
        let news = before.node(&node.name).map_or_else(|| arrival(node), |was| changes(was, node));
        let of_node = |(kind, text)| Happening { at, kind, node: Some(node.name.clone()), text };
        told.extend(news.into_iter().map(of_node));
    }
    for gone in before.nodes.iter().filter(|node| after.node(&node.name).is_none()) {
        let text = format!("{} has left", gone.name);
        told.push(Happening { at, kind: What::Left, node: Some(gone.name.clone()), text });
    }
    told.extend(faults(before, after).map(|(kind, text)| Happening { at, kind, node: None, text }));
    told
}

/// What was broken on purpose, and what has healed.
fn faults(before: &Picture, after: &Picture) -> impl Iterator<Item = (What, String)> {
    let news = |before: &[Fault], after: &[Fault]| -> Vec<Fault> {
        let is_old = |fault: &&Fault| before.iter().any(|old| old.id == fault.id);
        after.iter().filter(|fault| !is_old(fault)).cloned().collect()
    };
    let begun = news(&before.faults, &after.faults).into_iter().chain(news(&before.done, &after.done));
    let ended = news(&after.faults, &before.faults);
    let begun = begun.map(|fault| (What::Fault, format!("fault {}: {}", fault.id, fault.text)));
    begun.chain(
        ended.into_iter().map(|fault| (What::Healed, format!("fault {} is over: {}", fault.id, fault.text))),
    )
}

fn arrival(node: &Node) -> Vec<(What, String)> {
    vec![(What::Started, format!("{} has joined as {}", node.name, node.role))]
}

fn changes(was: &Node, is: &Node) -> Vec<(What, String)> {
    let name = &is.name;
    let mut news = Vec::new();
    let has_died = is.restarts > was.restarts;
    if has_died {
        news.push((What::Died, format!("{name} died; it is started again")));
    } else if was.state != State::Down && is.state == State::Down {
        news.push((What::Died, format!("{name} does not answer")));
    }
    let was_away = has_died || matches!(was.state, State::Restarting | State::Down);
    match (was.state, is.state) {
        (_, State::Ready) if was_away => news.push((What::Restarted, format!("{name} is back"))),
        (State::Starting, State::Ready) => news.push((What::Started, format!("{name} is ready"))),
        (before, State::Draining) if before != State::Draining => {
            news.push((What::Draining, format!("{name} is draining")));
        }
        _ => {}
    }
    if was.role != is.role && is.role == "primary" {
        news.push((What::Promoted, format!("{name} was {} and is primary now", was.role)));
    }
    for election in is.leads.iter().filter(|election| !was.leads.contains(election)) {
        news.push((What::Elected, format!("{name} leads {election}")));
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::observer::look;
    use onefold_supervisor::status::{Phase, ProcessStatus};
    use std::time::UNIX_EPOCH;

    fn process(state: Phase, restarts: u32, role: &str) -> ProcessStatus {
        ProcessStatus {
            name: "app-a".parse().unwrap(),
            role: role.to_owned(),
            zone: None,
            pid: Some(7),
            state,
            address: "127.0.0.1:1".parse().unwrap(),
            admin: None,
            build: None,
            restarts,
            started_at_ms: None,
        }
    }

    fn picture(processes: &[ProcessStatus], leads: &[&str]) -> Picture {
        let leads = leads.iter().map(|&name| name.to_owned()).collect();
        let leads = look::Leads::from([("app-a".to_owned(), leads)]);
        Picture::new("links", look::nodes(processes, &[], &[], &leads), Vec::new())
    }

    #[test]
    fn each_change_is_told_once_and_in_order() {
        let ready = process(Phase::Ready, 0, "app");
        let told = |before: &Picture, after: &Picture| -> Vec<String> {
            between(before, after, UNIX_EPOCH).into_iter().map(|happening| happening.text).collect()
        };
        let first = picture(std::slice::from_ref(&ready), &[]);
        assert!(told(&picture(&[], &[]), &first).is_empty(), "watching begins here");
        assert!(told(&first, &first).is_empty());

        let dead = picture(&[process(Phase::Restarting, 1, "app")], &[]);
        assert_eq!(told(&first, &dead), ["app-a died; it is started again"]);
        let back = picture(&[process(Phase::Ready, 1, "app")], &[]);
        assert_eq!(told(&dead, &back), ["app-a is back"]);
        assert_eq!(told(&first, &back), ["app-a died; it is started again", "app-a is back"]);

        let leader = picture(&[ready], &["cron"]);
        assert_eq!(told(&first, &leader), ["app-a leads cron"]);
        let primary = picture(&[process(Phase::Ready, 0, "primary")], &[]);
        assert_eq!(told(&first, &primary), ["app-a was app and is primary now"]);
    }
}
