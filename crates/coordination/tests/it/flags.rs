//! Flags over several nodes: changed on one, evaluated on another.

use crate::support::{PATIENCE, Stage, now};
use onefold_coordination::conformance::Harness as _;
use onefold_coordination::flags::{Import, State};
use onefold_coordination::store::{Operation, Txn};
use onefold_coordination::{Config, ErrorCode, EvaluationContext, Flag, Flags, Reason, Writer};
use serde_json::json;
use std::time::Duration;

const PREVIEW: Flag<bool> = Flag::new("preview-page", false);

fn preview(default: &str) -> serde_json::Value {
    json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": default})
}

fn ada() -> Writer {
    Writer::new("ada")
}

async fn until(flags: &Flags, context: &EvaluationContext, value: bool) -> Duration {
    let started = now();
    while flags.get(&PREVIEW, context) != value {
        assert!(started.elapsed() < PATIENCE, "{:?}", flags.details(&PREVIEW, context));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    started.elapsed()
}

#[tokio::test]
async fn a_change_reaches_another_node_within_a_second_also_when_no_hint_does() {
    let stage = Stage::new().await;
    let config = Config::default();
    let (one, two) = (stage.node("one", &config).await, stage.node("two", &config).await);
    let (one, two) = (one.coordination.flags(), two.coordination.flags());
    let nobody = EvaluationContext::new();
    assert_eq!(two.details(&PREVIEW, &nobody).error_code, Some(ErrorCode::FlagNotFound));
    one.put("preview-page", preview("on"), ada()).await.unwrap();
    assert_eq!(until(two, &nobody, true).await.as_secs(), 0);
    one.set_state("preview-page", State::Disabled, ada()).await.unwrap();
    let switched_off = until(two, &nobody, false).await;
    println!("the kill switch reached another node after {switched_off:?}");
    assert_eq!(two.details(&PREVIEW, &nobody).reason, Reason::Disabled);

    // Written behind the service's back, so that no hint is sent.
    let sql = "with next as (update onefold.revision set current = current + 1 returning current),
        put as (update onefold.kv set value = $1, revision = current from next where key = 'flags/preview-page')
        insert into onefold.kv_log (revision, key, value, create_revision, actor)
        select current, 'flags/preview-page', $1, 1, 'test' from next";
    stage.server.client().await.execute(sql, &[&preview("on")]).await.unwrap();
    assert_eq!(until(two, &nobody, true).await.as_secs(), 0);
}

#[tokio::test]
async fn a_flag_goes_back_to_what_it_was_and_to_not_being_there() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let flags = node.coordination.flags();
    let first = flags.put("preview-page", preview("on"), ada()).await.unwrap().revision;
    flags.put("preview-page", preview("off"), ada()).await.unwrap();
    let back = flags.rollback("preview-page", first, ada()).await.unwrap().revision;
    assert_eq!(flags.show("preview-page").await.unwrap()["defaultVariant"], "on");
    let past = flags.history("preview-page", 10).await.unwrap();
    assert_eq!((past.len(), past[0].revision), (3, back));
    assert_eq!(past[0].reason, Some(format!("rollback to revision {first}")));
    let deleted = flags.delete("preview-page", ada()).await.unwrap().revision;
    flags.put("preview-page", preview("on"), ada()).await.unwrap();
    flags.rollback("preview-page", deleted, ada()).await.unwrap();
    assert!(flags.list().await.unwrap().is_empty());
    let unknown = flags.rollback("preview-page", first - 1, ada()).await.unwrap_err().to_string();
    assert!(unknown.contains(&format!("the oldest one kept is {first}")), "{unknown}");
}

#[tokio::test]
async fn a_broken_flag_keeps_its_last_good_version_on_every_node() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let flags = node.coordination.flags();
    let nobody = EvaluationContext::new();
    flags.put("preview-page", preview("on"), ada()).await.unwrap();
    until(flags, &nobody, true).await;
    let refused = flags.put("preview-page", preview("maybe"), ada()).await.unwrap_err().to_string();
    assert_eq!(refused, "flag `preview-page`: `maybe`, which is none of its variants: off, on");

    // Another build wrote what this one cannot read.
    let then = vec![Operation::put("flags/preview-page", json!({"state": "HALF", "variants": {"on": true}}))];
    stage.store().commit(&Txn { then, ..Txn::default() }).await.unwrap();
    let broken = async {
        while flags.details(&PREVIEW, &nobody).message.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, broken).await.expect("it says so");
    let details = flags.details(&PREVIEW, &nobody);
    assert_eq!((details.value, details.reason), (true, Reason::Static));
    let metrics = node.node.metrics.render();
    assert!(metrics.contains("onefold_coordination_broken_flags 1.0"), "{metrics}");
    assert!(flags.list().await.unwrap()[0].fault.is_some());
}

#[tokio::test]
async fn flags_are_listed_tried_imported_and_exported() {
    let stage = Stage::new().await;
    let node = stage.node("one", &Config::default()).await;
    let flags = node.coordination.flags();
    let document = json!({
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "flags": {
            "preview-page": {
                "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
                "targeting": {"if": [{"$ref": "ours"}, "on", {"fractional": [["on", 10], ["off", 90]]}]},
                "metadata": {"owner": "web"},
            },
            "colour": {"state": "ENABLED", "variants": {"red": "#f00"}, "defaultVariant": "red"},
        },
        "$evaluators": {"ours": {"ends_with": [{"var": "email"}, "@ours.example"]}},
    });
    flags.import(&document, Import::Merge, ada()).await.unwrap();
    let exported = flags.export().await.unwrap();
    assert_eq!(exported, document);
    let preview = &exported["flags"]["preview-page"];
    let order = "a flag is kept as it was written";
    assert_eq!(preview.to_string(), document["flags"]["preview-page"].to_string(), "{order}");
    let again = flags.import(&document, Import::Replace, ada()).await.unwrap();
    assert_eq!(again.revision, 1, "one revision for all, and none where nothing changes");

    let ours = EvaluationContext::of("user-1").with("email", "ada@ours.example");
    let details = flags.eval("preview-page", &ours).await.unwrap();
    assert_eq!((details.value, details.variant.as_deref()), (json!(true), Some("on")));
    until(flags, &ours, true).await;
    let served = flags.counts().into_iter().find(|count| count.variant == "on").unwrap().served;
    assert!(served >= 1);

    let names: Vec<_> =
        flags.list().await.unwrap().into_iter().map(|flag| (flag.name, flag.targeted)).collect();
    assert_eq!(names, [("colour".to_owned(), false), ("preview-page".to_owned(), true)]);
    let error = flags.show("preview-pgae").await.unwrap_err().to_string();
    assert_eq!(error, "there is no flag `preview-pgae`; did you mean `preview-page`?");
    let breaking = json!({"flags": {}, "$evaluators": {"ours": {"endswith": []}}});
    let error = flags.import(&breaking, Import::Merge, ada()).await.unwrap_err().to_string();
    assert_eq!(error, "flag `preview-page`: targeting: there is no operator `endswith`");
    flags.delete("colour", ada()).await.unwrap();
    assert_eq!(flags.history("colour", 10).await.unwrap().len(), 2);
}

/// A node that stood still while the changes it had not seen were forgotten.
#[tokio::test]
async fn a_watcher_that_was_compacted_away_lists_again() {
    let stage = Stage::new().await;
    let store = stage.store();
    let (freeze, frozen) = std::sync::mpsc::channel::<()>();
    let config = Config::default();
    let asleep = stage.mortal("one", &config, |node| (node.coordination.clone(), node.node.clone())).await;
    let (coordination, node) = asleep.kept().0.clone();
    asleep.block_on_one_worker(frozen);
    for n in 0..3 {
        let then = vec![Operation::put("flags/preview-page", preview(if n == 2 { "on" } else { "off" }))];
        store.commit(&Txn { then, ..Txn::default() }).await.unwrap();
    }
    store.compact(2, 1).await.unwrap();
    drop(freeze);
    until(coordination.flags(), &EvaluationContext::new(), true).await;
    assert!(node.metrics.render().contains("onefold_coordination_relisted_total 2"), "at the start, and now");
    asleep.die();
}
