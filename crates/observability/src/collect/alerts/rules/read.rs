//! From a tree of YAML to rules. A mistake is noted, and reading goes on.

use super::{Alert, Fault, Group, Kind, Rule};
use crate::collect::alerts::template::Template;
use crate::collect::alerts::yaml::{self, Data, Node, Place};
use crate::collect::promql::{self, Query, is_label_name, parse_duration_ms};
use std::collections::HashSet;
use std::time::Duration;

/// How often rules are evaluated, unless their group says otherwise.
const INTERVAL: Duration = Duration::from_secs(5);
/// Rules in a file.
const RULES_MAX: usize = 1000;

pub(super) fn groups(text: &str) -> Result<Vec<Group>, Vec<Fault>> {
    let root = yaml::parse(text).map_err(|fault| vec![fault])?;
    let Some(root) = root else { return Ok(Vec::new()) };
    let mut reader = Reader { faults: Vec::new() };
    let groups = reader.file(&root);
    if groups.iter().map(|group| group.rules.len()).sum::<usize>() > RULES_MAX {
        reader.fault(root.place, format!("a file has at most {RULES_MAX} rules"));
    }
    if reader.faults.is_empty() { Ok(groups) } else { Err(reader.faults) }
}

struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, place: Place, problem: impl Into<String>) {
        self.faults.push(Fault::new(place, problem));
    }

    fn file(&mut self, root: &Node) -> Vec<Group> {
        let fields = self.fields(root, "a file of rules", &["groups"]);
        let Some(groups) = fields.get("groups") else {
            self.fault(root.place, "`groups` is missing");
            return Vec::new();
        };
        let mut names = HashSet::new();
        let mut read = Vec::new();
        for node in self.list(groups, "groups") {
            let group = self.group(node);
            if !group.name.is_empty() && !names.insert(group.name.clone()) {
                self.fault(node.place, format!("a second group is called {}", group.name));
            }
            read.push(group);
        }
        read
    }

    fn group(&mut self, node: &Node) -> Group {
        let known = ["name", "interval", "rules", "limit", "query_offset", "labels"];
        let fields = self.fields(node, "a group", &known);
        for unsupported in ["limit", "query_offset", "labels"] {
            if let Some(value) = fields.get(unsupported) {
                self.fault(value.place, format!("`{unsupported}` of a group is not supported"));
            }
        }
        let name = fields.get("name").map_or_else(String::new, |name| self.text(name, "name"));
        if name.is_empty() {
            self.fault(node.place, "a group needs a name");
        }
        let interval = fields.get("interval").map_or(INTERVAL, |node| self.duration(node, "interval"));
        if interval < Duration::from_secs(1) {
            let place = fields.get("interval").map_or(node.place, |interval| interval.place);
            self.fault(place, "an interval is at least 1s");
        }
        let rules = fields.get("rules").map_or_else(Vec::new, |rules| self.list(rules, "rules"));
        let rules = rules.into_iter().filter_map(|rule| self.rule(rule)).collect();
        Group { name, interval, rules }
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let known = ["alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"];
        let fields = self.fields(node, "a rule", &known);
        let query = if let Some(expression) = fields.get("expr") {
            self.query(expression)
        } else {
            self.fault(node.place, "`expr` is missing");
            None
        };
        let labels = fields.get("labels").map_or_else(Vec::new, |labels| self.templates(labels, "labels"));
        let kind = match (fields.get("alert"), fields.get("record")) {
            (Some(alert), None) => Some(Kind::Alert(self.alert(alert, &fields))),
            (None, Some(record)) => self.record(record, &fields),
            (Some(_), Some(record)) => {
                self.fault(record.place, "a rule is either an `alert` or a `record`");
                None
            }
            (None, None) => {
                self.fault(node.place, "a rule needs `alert` or `record`");
                None
            }
        };
        Some(Rule { query: query?, kind: kind?, labels })
    }

    fn alert(&mut self, name: &Node, fields: &Fields<'_>) -> Alert {
        let text = self.text(name, "alert");
        if text.is_empty() {
            self.fault(name.place, "an alert needs a name");
        }
        let mut duration =
            |key: &str| fields.get(key).map_or(Duration::ZERO, |node| self.duration(node, key));
        let (hold, keep_firing) = (duration("for"), duration("keep_firing_for"));
        let annotations = fields.get("annotations");
        let annotations = annotations.map_or_else(Vec::new, |node| self.templates(node, "annotations"));
        Alert { name: text, hold, keep_firing, annotations }
    }

    fn record(&mut self, name: &Node, fields: &Fields<'_>) -> Option<Kind> {
        for only_alerts in ["for", "keep_firing_for", "annotations"] {
            if let Some(value) = fields.get(only_alerts) {
                self.fault(value.place, format!("`{only_alerts}` belongs to alerts, not to a `record`"));
            }
        }
        let text = self.text(name, "record");
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if text.is_empty() || !text.chars().all(fits) || text.starts_with(|c: char| c.is_ascii_digit()) {
            self.fault(name.place, format!("{text:?} is no name of a metric, such as job:requests:rate5m"));
            return None;
        }
        Some(Kind::Record(text))
    }

    fn query(&mut self, node: &Node) -> Option<Query> {
        let text = self.text(node, "expr");
        let error = match Query::parse(&text) {
            Ok(query) if query.is_instant() => return Some(query),
            Ok(_) => {
                self.fault(node.place, "expr: the expression gives no instant vector and no scalar");
                return None;
            }
            Err(error) => error,
        };
        // In a plain text on one line, the place within it is a place of the file.
        let plain = matches!(node.data, Data::Text { plain: true, .. });
        match error {
            promql::Error::Invalid { line: 1, column, problem } if plain => {
                let place = Place { column: node.place.column + column - 1, ..node.place };
                self.fault(place, format!("expr: {problem}"));
            }
            error => self.fault(node.place, format!("expr: {error}")),
        }
        None
    }

    fn templates(&mut self, node: &Node, key: &str) -> Vec<(String, Template)> {
        let mut read = Vec::new();
        for (name, value) in self.map(node, key) {
            let label = self.text(name, key);
            if !is_label_name(&label) {
                self.fault(name.place, format!("{label:?} is no name for one of `{key}`"));
            }
            let text = self.text(value, &label);
            match Template::parse(&text) {
                Ok(template) => read.push((label, template)),
                Err(problem) => self.fault(value.place, format!("{label}: {problem}")),
            }
        }
        read
    }

    fn duration(&mut self, node: &Node, key: &str) -> Duration {
        let text = self.text(node, key);
        let read = if text == "0" { Some(0) } else { parse_duration_ms(&text) };
        let millis = read.and_then(|millis| u64::try_from(millis).ok());
        millis.map_or_else(
            || {
                self.fault(node.place, format!("{key}: {text:?} is no duration: write 30s, 5m or 1h30m"));
                Duration::ZERO
            },
            Duration::from_millis,
        )
    }

    fn text(&mut self, node: &Node, key: &str) -> String {
        match &node.data {
            Data::Text { text, .. } => text.clone(),
            other => {
                let found = other.words();
                self.fault(node.place, format!("{key}: expected a text, found {found}"));
                String::new()
            }
        }
    }

    fn list<'n>(&mut self, node: &'n Node, key: &str) -> Vec<&'n Node> {
        match &node.data {
            Data::List(items) => items.iter().collect(),
            Data::Text { text, .. } if text.is_empty() => Vec::new(),
            other => {
                let found = other.words();
                self.fault(node.place, format!("{key}: expected a list, found {found}"));
                Vec::new()
            }
        }
    }

    fn map<'n>(&mut self, node: &'n Node, key: &str) -> &'n [(Node, Node)] {
        match &node.data {
            Data::Map(pairs) => pairs,
            Data::Text { text, .. } if text.is_empty() => &[],
            other => {
                let found = other.words();
                self.fault(node.place, format!("{key}: expected a mapping, found {found}"));
                &[]
            }
        }
    }

    fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Fields<'n> {
        let mut fields = Vec::new();
        for (key, value) in self.map(node, what) {
            let name = self.text(key, "a key");
            if !known.contains(&name.as_str()) {
                let near = known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, &name));
                let near = near.filter(|near| strsim::damerau_levenshtein(near, &name) <= 2);
                let hint = near.map_or_else(String::new, |near| format!(": did you mean {near}?"));
                self.fault(key.place, format!("{what} has no `{name}`{hint}"));
            }
            fields.push((name, value));
        }
        Fields(fields)
    }
}

struct Fields<'n>(Vec<(String, &'n Node)>);

impl<'n> Fields<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, node)| *node)
    }
}
