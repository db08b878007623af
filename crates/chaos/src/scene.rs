//! Whom a wish is about: names, roles and zones, as they are at the moment of the wish.

use crate::fault::{Kind, Link, Way, Wish};
use onefold_core::{NodeName, Zone};
use std::collections::BTreeSet;

/// A process as a wish may name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `app-a`.
    pub name: NodeName,
    /// `app`, `primary`: at present.
    pub role: String,
    /// Where it stands.
    pub zone: Option<Zone>,
    /// Whether it is an engine, and not a node of ours.
    pub is_engine: bool,
}

/// What there is to break.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// All processes.
    pub members: Vec<Member>,
    /// All edges that lead through the proxy, by their ends; none where there is no proxy.
    pub edges: Vec<(NodeName, NodeName)>,
}

/// Whom a wish concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Processes.
    pub nodes: Vec<NodeName>,
    /// Connections.
    pub links: Vec<Link>,
    /// Who stands behind a role or a zone, as in `primary is postgres-2`.
    pub notes: Vec<String>,
}

/// Without this edges lead straight to where they lead.
const NO_EDGES: &str = "the connections of this system cannot be broken: start it with `up --chaos`";

impl Scene {
    /// Whom the wish concerns.
    ///
    /// # Errors
    /// What there is instead, where nobody is meant.
    pub fn resolve(&self, wish: &Wish) -> Result<Target, String> {
        // As in `app-a -> primary`.
        let of = wish.of.replace("->", ":").replace('→', ":");
        let ends: Vec<&str> = of.split(':').map(str::trim).collect();
        match (ends[..].len(), wish.kind.is_of_processes()) {
            (1, true) => self.processes(wish.kind, ends[0]),
            (_, true) => {
                Err(format!("`{}` is an edge: {} is done to a node or a zone", wish.of, wish.kind.as_str()))
            }
            _ if self.edges.is_empty() => Err(NO_EDGES.to_owned()),
            (1, false) => self.around(wish, ends[0]),
            (2, false) => self.between(wish, ends[0], ends[1]),
            _ => Err(format!("`{}` is no edge: write two ends, as in `app-a:primary`", wish.of)),
        }
    }

    fn processes(&self, kind: Kind, end: &str) -> Result<Target, String> {
        let mut notes = Vec::new();
        let mut found = self.end(end, &mut notes)?;
        if kind == Kind::DiskFull {
            let engines: BTreeSet<_> =
                self.members.iter().filter(|one| one.is_engine).map(|one| &one.name).collect();
            found.retain(|name| engines.contains(name));
            if found.is_empty() {
                return Err(format!("`{end}` is no engine; those are {}", listed(engines)));
            }
        }
        Ok(Target { nodes: found.into_iter().collect(), links: Vec::new(), notes })
    }

    /// All edges of a node, or those that lead into a zone or out of it.
    fn around(&self, wish: &Wish, end: &str) -> Result<Target, String> {
        let mut notes = Vec::new();
        let within = self.end(end, &mut notes)?;
        let way = wish.way();
        let crosses = |(from, to): &&(NodeName, NodeName)| within.contains(from) != within.contains(to);
        let links = self.edges.iter().filter(crosses).map(|(from, to)| Link {
            from: from.clone(),
            to: to.clone(),
            way: if within.contains(from) { way } else { way.turned() },
        });
        let links: Vec<Link> = links.collect();
        if links.is_empty() {
            return Err(format!("no edge leads to or from `{end}`; there are {}", self.edges_listed()));
        }
        Ok(Target { nodes: Vec::new(), links, notes })
    }

    /// The edges from one to the other; of a partition, those that the other opened as well.
    fn between(&self, wish: &Wish, one: &str, other: &str) -> Result<Target, String> {
        let mut notes = Vec::new();
        let (from, to) = (self.end(one, &mut notes)?, self.end(other, &mut notes)?);
        let way = wish.way();
        let mut links = Vec::new();
        for (opener, server) in &self.edges {
            let is_forward = from.contains(opener) && to.contains(server);
            let is_backward = wish.kind == Kind::Partition && to.contains(opener) && from.contains(server);
            let way = match (is_forward, is_backward) {
                (true, true) => Way::Both,
                (true, false) => way,
                (false, true) => way.turned(),
                (false, false) => continue,
            };
            links.push(Link { from: opener.clone(), to: server.clone(), way });
        }
        if links.is_empty() {
            return Err(format!(
                "no edge leads from `{one}` to `{other}`; there are {}",
                self.edges_of(&from)
            ));
        }
        Ok(Target { nodes: Vec::new(), links, notes })
    }

    /// Who is meant by a name, a role, `zone=NAME` or `*`.
    fn end(&self, end: &str, notes: &mut Vec<String>) -> Result<BTreeSet<NodeName>, String> {
        if let Some(member) = self.members.iter().find(|member| member.name.as_str() == end) {
            return Ok(BTreeSet::from([member.name.clone()]));
        }
        let is_meant = |member: &&Member| match end.strip_prefix("zone=") {
            Some(zone) => member.zone.as_ref().is_some_and(|stands| stands.as_str() == zone),
            None => end == "*" || member.role == end,
        };
        let found: BTreeSet<_> =
            self.members.iter().filter(is_meant).map(|member| member.name.clone()).collect();
        if found.is_empty() {
            return Err(self.unknown(end));
        }
        if end != "*" {
            let verb = if found.len() == 1 { "is" } else { "are" };
            notes.push(format!("{end} {verb} {}", listed(&found)));
        }
        Ok(found)
    }

    fn unknown(&self, end: &str) -> String {
        let names = listed(self.members.iter().map(|member| &member.name));
        let roles = listed(self.members.iter().map(|member| &member.role).collect::<BTreeSet<_>>());
        let zones: BTreeSet<_> = self.members.iter().filter_map(|member| member.zone.as_ref()).collect();
        let zones = listed(zones.into_iter().map(|zone| format!("zone={zone}")));
        format!(
            "`{end}` is nobody here; there are the nodes {names}; the roles {roles}; {zones}; and * for all"
        )
    }

    /// The edges that lead from these, or all where there are none.
    fn edges_of(&self, from: &BTreeSet<NodeName>) -> String {
        let own: Vec<_> = self.edges.iter().filter(|(opener, _)| from.contains(opener)).collect();
        if own.is_empty() { self.edges_listed() } else { listed(own.into_iter().map(spelled)) }
    }

    fn edges_listed(&self) -> String {
        listed(self.edges.iter().map(spelled))
    }
}

fn spelled((from, to): &(NodeName, NodeName)) -> String {
    format!("{from}:{to}")
}

fn listed(names: impl IntoIterator<Item = impl ToString>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        let member = |name: &str, role: &str, zone: &str, is_engine| Member {
            name: name.parse().unwrap(),
            role: role.to_owned(),
            zone: Some(zone.parse().unwrap()),
            is_engine,
        };
        let edge = |from: &str, to: &str| (from.parse().unwrap(), to.parse().unwrap());
        Scene {
            members: vec![
                member("app-a", "app", "a", false),
                member("app-b", "app", "b", false),
                member("db-1", "primary", "a", true),
                member("db-2", "replica", "b", true),
            ],
            edges: vec![
                edge("app-a", "db-1"),
                edge("app-a", "db-2"),
                edge("app-b", "db-1"),
                edge("app-b", "db-2"),
                edge("db-2", "db-1"),
                edge("db-1", "db-2"),
            ],
        }
    }

    fn links(kind: Kind, of: &str, way: Option<Way>) -> Vec<String> {
        let target = scene().resolve(&Wish { way, ..Wish::new(kind, of) }).unwrap();
        let spelled = |link: Link| format!("{}:{} {:?}", link.from, link.to, link.way);
        target.links.into_iter().map(spelled).collect()
    }

    #[test]
    fn an_edge_is_spelled_by_names_roles_and_zones_in_any_hand() {
        for of in ["app-a:db-1", "app-a:primary", "app-a -> primary", "app-a → db-1"] {
            assert_eq!(links(Kind::Latency, of, None), ["app-a:db-1 There"], "{of}");
        }
        assert_eq!(links(Kind::Blackhole, "app:replica", None), ["app-a:db-2 Both", "app-b:db-2 Both"]);
        let notes = scene().resolve(&Wish::new(Kind::Reset, "app-a:primary")).unwrap().notes;
        assert_eq!(notes, ["primary is db-1"]);
    }

    #[test]
    fn a_partition_cuts_whoever_opened_the_connection() {
        assert_eq!(links(Kind::Partition, "db-1:db-2", None), ["db-2:db-1 Both", "db-1:db-2 Both"]);
        let one_way = links(Kind::Partition, "db-1:db-2", Some(Way::There));
        assert_eq!(one_way, ["db-2:db-1 Back", "db-1:db-2 There"], "nothing that db-1 sends arrives");
        let zone = links(Kind::Partition, "zone=a", Some(Way::There));
        assert_eq!(zone, ["app-a:db-2 There", "app-b:db-1 Back", "db-2:db-1 Back", "db-1:db-2 There"]);
        let both_ways = links(Kind::Partition, "zone=a:zone=b", None);
        assert_eq!(both_ways.len(), 4, "what stays within a zone is left alone: {both_ways:?}");
    }

    #[test]
    fn what_is_done_to_processes_knows_roles_and_zones() {
        let nodes = |kind, of: &str| {
            let target = scene().resolve(&Wish::new(kind, of));
            target.map(|target| listed(target.nodes))
        };
        assert_eq!(nodes(Kind::Pause, "app-a").unwrap(), "app-a");
        assert_eq!(nodes(Kind::Kill, "zone=b").unwrap(), "app-b, db-2");
        assert_eq!(nodes(Kind::DiskFull, "zone=b").unwrap(), "db-2", "nodes keep nothing");
        assert!(nodes(Kind::DiskFull, "app-a").unwrap_err().contains("db-1, db-2"));
        assert!(nodes(Kind::Pause, "app-a:db-1").unwrap_err().contains("edge"));
    }

    #[test]
    fn whoever_is_unknown_is_answered_with_those_there_are() {
        let refused = |kind, of: &str| scene().resolve(&Wish::new(kind, of)).unwrap_err();
        let said = refused(Kind::Pause, "app-x");
        for word in ["`app-x`", "app-a, app-b", "primary", "zone=a"] {
            assert!(said.contains(word), "{said}");
        }
        assert!(refused(Kind::Latency, "app-a:app-b").contains("app-a:db-1, app-a:db-2"));
        assert!(refused(Kind::Latency, "db-1:app-a").contains("db-1:db-2"));
        assert!(refused(Kind::Latency, "a:b:c").contains("two ends"));
        let bare = Scene { edges: Vec::new(), ..scene() };
        let said = bare.resolve(&Wish::new(Kind::Partition, "app-a:db-1")).unwrap_err();
        assert!(said.contains("up --chaos"), "{said}");
    }
}
