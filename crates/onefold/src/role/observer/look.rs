//! One look at the system: what the supervisor, the members and the database servers say, as one list.

use super::picture::{Kind, Node, Server, State};
use onefold_core::{Member, NodeName};
use onefold_database::{ServerRole, ServerStatus};
use onefold_supervisor::status::{Phase, ProcessStatus};
use std::collections::BTreeMap;

/// Who leads what, by the node.
pub(super) type Leads = BTreeMap<String, Vec<String>>;

/// Marks the server that is primary as alone.
pub(super) fn mark_alone(nodes: &mut [Node]) {
    let servers = nodes.iter_mut().filter_map(|node| node.database.as_mut());
    for server in servers.filter(|server| server.role == ServerRole::Primary) {
        server.alone = true;
    }
}

/// Everything that is known to run, in the order of its start; what no supervisor runs comes last.
pub(super) fn nodes(
    processes: &[ProcessStatus],
    members: &[Member],
    servers: &[ServerStatus],
    leads: &Leads,
) -> Vec<Node> {
    let mut nodes: Vec<Node> = processes.iter().map(of_process).collect();
    for member in members {
        match nodes.iter_mut().find(|node| node.name == member.name) {
            Some(node) => node.build = Some(member.build.clone()),
            None => nodes.push(of_member(member)),
        }
    }
    for server in servers {
        match nodes.iter_mut().find(|node| node.name == server.name) {
            Some(node) => {
                // The server itself knows first what it is.
                if matches!(server.role, ServerRole::Primary | ServerRole::Replica) {
                    word(server.role).clone_into(&mut node.role);
                }
                node.database = Some(of_server(server));
            }
            None => nodes.push(of_engine(server)),
        }
    }
    for node in &mut nodes {
        let held = leads.get(node.name.as_str()).filter(|_| node.state == State::Ready);
        node.leads = held.cloned().unwrap_or_default();
    }
    nodes
}

fn of_process(process: &ProcessStatus) -> Node {
    let state = match process.state {
        Phase::Starting => State::Starting,
        Phase::Ready => State::Ready,
        Phase::Restarting => State::Restarting,
        Phase::Stopping => State::Draining,
        Phase::Failed => State::Down,
    };
    Node {
        role: process.role.clone(),
        zone: process.zone.clone(),
        kind: if process.admin.is_some() { Kind::Node } else { Kind::Engine },
        pid: process.pid,
        address: Some(process.address.to_string()),
        admin: process.admin,
        restarts: process.restarts,
        started_at_ms: process.started_at_ms,
        ..bare(&process.name, state)
    }
}

fn of_member(member: &Member) -> Node {
    Node {
        role: member.role.to_string(),
        zone: Some(member.zone.clone()),
        address: member.address.map(|address| address.to_string()),
        admin: Some(member.admin),
        build: Some(member.build.clone()),
        ..bare(&member.name, State::Ready)
    }
}

fn of_engine(server: &ServerStatus) -> Node {
    let state = if server.role == ServerRole::Unreachable { State::Down } else { State::Ready };
    Node {
        role: word(server.role).to_owned(),
        zone: server.zone.clone(),
        kind: Kind::Engine,
        address: Some(server.address.clone()),
        database: Some(of_server(server)),
        ..bare(&server.name, state)
    }
}

fn of_server(server: &ServerStatus) -> Server {
    let lag_ms = server.lag.and_then(|lag| u64::try_from(lag.as_millis()).ok());
    Server { role: server.role, lag_ms, lsn: server.lsn.to_string(), alone: false }
}

fn bare(name: &NodeName, state: State) -> Node {
    Node {
        name: name.clone(),
        role: String::new(),
        zone: None,
        kind: Kind::Node,
        state,
        pid: None,
        address: None,
        admin: None,
        restarts: 0,
        started_at_ms: None,
        uptime_s: None,
        build: None,
        leads: Vec::new(),
        database: None,
        faults: Vec::new(),
    }
}

fn word(role: ServerRole) -> &'static str {
    match role {
        ServerRole::Primary => "primary",
        ServerRole::Replica => "replica",
        ServerRole::Unreachable => "unreachable",
        ServerRole::Stranger => "stranger",
    }
}
