use super::*;

const GOOD: &str = r#"
groups:
  - name: nodes   # one group
    interval: 15s
    rules:
      - alert: Down
        expr: up == 0
        for: 1m
        keep_firing_for: 5m
        labels: {severity: page, team: "{{ $labels.job }}"}
        annotations:
          summary: "{{ $labels.node }} is down"
      - record: job:up:sum
        expr: |
          sum by (job) (
            up
          )
        labels:
          source: rules
"#;

#[test]
fn a_file_of_prometheus_is_read() {
    let groups = parse("rules.yaml", GOOD).unwrap_or_else(|faults| panic!("{faults}"));
    let [group] = &groups[..] else { panic!("{groups:?}") };
    assert_eq!((group.name.as_str(), group.interval), ("nodes", Duration::from_secs(15)));
    let Kind::Alert(alert) = &group.rules[0].kind else { panic!() };
    assert_eq!(
        (alert.name.as_str(), alert.hold, alert.keep_firing),
        ("Down", Duration::from_mins(1), Duration::from_mins(5))
    );
    assert_eq!((group.rules[0].labels.len(), alert.annotations.len()), (2, 1));
    assert!(matches!(&group.rules[1].kind, Kind::Record(name) if name == "job:up:sum"));
    assert!(parse("empty.yaml", "").unwrap().is_empty());
    assert!(parse("empty.yaml", "groups:").unwrap().is_empty());
}

/// The places and words of all mistakes.
fn faults(text: &str) -> Vec<String> {
    let faults = parse("r.yaml", text).map(|_| ()).unwrap_err();
    faults.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn every_mistake_is_named_with_its_line_and_column() {
    let text = r#"groups:
  - name: a
    intervall: 5s
    rules:
      - alert: A
        expr: rate(up) > 0
      - alert: B
        expr: up
        for: five minutes
        labels:
          bad-name: x
        annotations:
          summary: "{{ query \"up\" }}"
      - record: "not a name"
        expr: up
        for: 1m
      - expr: up[5m]
  - name: a
    interval: 10ms
    rules: {}
"#;
    let found = faults(text);
    let expected = [
        "r.yaml:3:5: a group has no `intervall`: did you mean interval?",
        "r.yaml:6:20: expr: argument 1 of rate is an instant vector, expected a range vector",
        "r.yaml:9:14: for: \"five minutes\" is no duration",
        "r.yaml:11:11: \"bad-name\" is no name for one of `labels`",
        "r.yaml:13:20: summary: `{{ query \"up\" }}` is not supported",
        "r.yaml:16:14: `for` belongs to alerts",
        "r.yaml:14:17: \"not a name\" is no name of a metric",
        "r.yaml:17:15: expr: the expression gives no instant vector",
        "r.yaml:17:9: a rule needs `alert` or `record`",
        "r.yaml:19:15: an interval is at least 1s",
        "r.yaml:20:12: rules: expected a list, found a mapping",
        "r.yaml:18:5: a second group is called a",
    ];
    for expected in expected {
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected} in\n{}", found.join("\n"));
    }
    assert!(
        found.iter().all(|fault| expected.iter().any(|e| fault.starts_with(e)) || fault.contains("bad-name")),
        "{found:#?}"
    );
}

#[test]
fn what_is_no_file_of_rules_is_said_to_be_none() {
    for (text, expected) in [
        ("groups: [", "r.yaml:2:1: no YAML:"),
        ("- a", "r.yaml:1:1: a file of rules: expected a mapping, found a list"),
        ("group: []", "r.yaml:1:1: a file of rules has no `group`: did you mean groups?"),
        ("groups: &a []", "r.yaml:1:9: anchors and aliases are not supported"),
        ("groups: []\ngroups: []", "r.yaml:2:1: the key groups stands in line 1 already"),
        ("---\ngroups: []\n---\ngroups: []", "r.yaml:4:1: a second document"),
    ] {
        let found = faults(text);
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{text}: {found:?}");
    }
    let missing = load(Some(Path::new("/nowhere/rules.yaml"))).map(|_| ()).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/rules.yaml:0:0: read the rules:"), "{missing}");
}
