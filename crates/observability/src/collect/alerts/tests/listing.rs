//! What Prometheus' clients read of rules and alerts.

use super::Bench;
use serde_json::{Value, json, to_value};

#[tokio::test]
async fn rules_and_alerts_are_listed_as_prometheus_lists_them() {
    let bench = Bench::new(None);
    let alerts = bench.open();
    let fresh = to_value(alerts.groups()).unwrap();
    assert_eq!(
        (&fresh[0]["rules"][0]["health"], &fresh[0]["rules"][0]["state"]),
        (&json!("unknown"), &json!("inactive"))
    );
    assert_eq!(fresh[0]["lastEvaluation"], "0001-01-01T00:00:00Z");

    bench.store.set("app-b", "load", 1.0);
    bench.step(&alerts, 9.5);
    let mut group = to_value(alerts.groups()).unwrap()[0].take();
    let at = group["lastEvaluation"].clone();
    let rules = group["rules"].take();
    let file = bench.settings.rules.as_ref().unwrap().display().to_string();
    let head = json!({
        "name": "nodes", "file": file, "interval": 5.0, "limit": 0, "rules": null, "evaluationTime": 0.0,
        "lastEvaluation": at,
    });
    assert_eq!(group, head);
    let alert = json!({
        "labels": {
            "alertname": "Busy", "instance": "app-a", "job": "links", "node": "app-a", "role": "app", "severity": "warn",
            "zone": "a",
        },
        "annotations": {"summary": "app-a is at 9.5"},
        "state": "pending", "activeAt": at, "value": "9.5e+00",
    });
    let busy = json!({
        "type": "alerting", "state": "pending", "name": "Busy", "query": "load > 5", "duration": 10.0,
        "keepFiringFor": 0.0, "labels": {"severity": "warn"},
        "annotations": {"summary": "{{ $labels.node }} is at {{ $value | humanize }}"},
        "alerts": [alert], "health": "ok", "evaluationTime": 0.0, "lastEvaluation": at,
    });
    assert_eq!(rules[0], busy);
    let record = json!({
        "type": "recording", "name": "load:max", "query": "max(load)", "labels": {}, "health": "ok",
        "evaluationTime": 0.0, "lastEvaluation": at,
    });
    assert_eq!(rules[1], record);
    assert_eq!((&rules[2]["health"], &rules[2]["alerts"]), (&json!("err"), &json!([])));
    assert!(rules[2]["lastError"].as_str().unwrap().contains("many-to-many"), "{rules}");
    assert_eq!(to_value(alerts.active()).unwrap(), json!([alert]));

    (0..3).for_each(|_| bench.step(&alerts, 9.5));
    assert_eq!(to_value(alerts.groups()).unwrap()[0]["rules"][0]["state"], "firing");
    bench.step(&alerts, 1.0);
    assert_eq!(to_value(alerts.active()).unwrap(), Value::Array(Vec::new()), "what has resolved is none");
}
