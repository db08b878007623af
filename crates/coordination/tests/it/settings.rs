//! Settings over several nodes: refused or accepted, applied, looked back at, gone back to.

use crate::support::{PATIENCE, Stage};
use onefold_coordination::{Config, Error, Setting, Writer};
use serde_json::json;
use std::time::Duration;

const TTL: Setting<Duration> = Setting::new("links.cache-ttl", Duration::from_mins(5))
    .range(Duration::from_secs(1), Duration::from_hours(1))
    .describe("how long a link is cached");
const GREETING: Setting<&str> = Setting::new("links.greeting", "hello");
const LIMIT: Setting<i64> = Setting::new("links.limit", 10)
    .check(|n| if n % 2 == 0 { Ok(()) } else { Err("choose an even one".into()) });

fn ada(reason: &str) -> Writer {
    Writer { actor: "ada".into(), reason: Some(reason.into()) }
}

#[tokio::test]
async fn a_setting_is_validated_applied_on_every_node_and_rolled_back() {
    let stage = Stage::new().await;
    let (one, two) =
        (stage.node("one", &Config::default()).await, stage.node("two", &Config::default()).await);
    let (one, two) = (one.coordination.settings(), two.coordination.settings());
    for settings in [one, two] {
        settings.register(&TTL).unwrap();
        settings.register(&LIMIT).unwrap();
    }
    let mut seen = two.watch(&TTL).unwrap();
    assert_eq!(two.get(&TTL), Duration::from_mins(5));
    let mut follow = two.follow().await.unwrap();

    let first = one.set("links.cache-ttl", json!("10s"), None, ada("fresher")).await.unwrap();
    tokio::time::timeout(PATIENCE, seen.wait_for(|ttl| ttl.as_secs() == 10)).await.unwrap().unwrap();
    assert_eq!(two.get(&TTL), Duration::from_secs(10));
    let change = tokio::time::timeout(PATIENCE, follow.next()).await.unwrap().unwrap().remove(0);
    assert_eq!((change.name.as_str(), change.value), ("links.cache-ttl", Some(json!("10s"))));

    let refused = one.set("links.cache-ttl", json!("2h"), None, ada("")).await.unwrap_err().to_string();
    assert_eq!(refused, "setting `links.cache-ttl`: \"2h\" is out of range: choose \"1s\" to \"1h\"");
    let refused = one.set("links.limit", json!(3), None, ada("")).await.unwrap_err().to_string();
    assert_eq!(refused, "setting `links.limit`: choose an even one");
    let unknown = one.set("links.limt", json!(4), None, ada("")).await.unwrap_err().to_string();
    assert_eq!(unknown, "there is no setting `links.limt`; did you mean `links.limit`?");
    let conflict = one.set("links.cache-ttl", json!("20s"), Some(0), ada("")).await.unwrap_err();
    assert!(matches!(conflict, Error::Conflict { .. }), "{conflict}");
    one.set("links.cache-ttl", json!("20s"), Some(first.revision), ada("too fresh")).await.unwrap();

    one.rollback("links.cache-ttl", first.revision, Writer::new("bob")).await.unwrap();
    let past = one.history("links.cache-ttl", 10).await.unwrap();
    let told: Vec<_> = past
        .iter()
        .map(|p| (p.value.clone().unwrap(), p.actor.as_str(), p.reason.as_deref().unwrap()))
        .collect();
    let rolled_back = format!("rollback to revision {}", first.revision);
    assert_eq!(
        told,
        [
            (json!("10s"), "bob", rolled_back.as_str()),
            (json!("20s"), "ada", "too fresh"),
            (json!("10s"), "ada", "fresher"),
        ]
    );
    one.unset("links.cache-ttl", ada("as it was")).await.unwrap();
    tokio::time::timeout(PATIENCE, seen.wait_for(|ttl| ttl.as_secs() == 300)).await.unwrap().unwrap();
}

#[tokio::test]
async fn settings_are_listed_with_their_meaning_and_text_is_read_as_people_write_it() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let settings = node.coordination.settings();
    settings.register(&TTL).unwrap();
    settings.register(&GREETING).unwrap();
    assert_eq!(settings.parse("links.greeting", "7").unwrap(), json!("7"));
    assert_eq!(settings.parse("links.cache-ttl", "7s").unwrap(), json!("7s"));
    let value = settings.parse("links.greeting", "good day").unwrap();
    settings.set("links.greeting", value, None, ada("")).await.unwrap();
    let told = serde_json::to_value(settings.list().await.unwrap()).unwrap();
    assert_eq!(
        told,
        json!([
            {"name": "links.cache-ttl", "value": "5m", "source": "default", "default": "5m",
             "takes": "a duration like \"250ms\" or \"5s\"", "description": "how long a link is cached",
             "revision": null},
            {"name": "links.greeting", "value": "good day", "source": "set", "default": "hello",
             "takes": "a text", "description": "", "revision": 1},
        ])
    );
}
