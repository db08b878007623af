//! Evaluation as flagd's own test bed asks for it (open-feature/flagd-testbed, evaluator/gherkin): the vectors of
//! `fractional` are those of its second version.

use super::super::details::Reason;
use super::*;
use crate::typed::JsonText;
use proptest::prelude::*;
use serde_json::{Map, json};
use std::time::UNIX_EPOCH;

fn catalog(flags: &Json) -> Catalog {
    Catalog::default().with(flags, &json!({}))
}

impl Catalog {
    fn with(&self, flags: &Json, evaluators: &Json) -> Self {
        self.counted(flags, evaluators, &Metrics::new())
    }

    fn counted(&self, flags: &Json, evaluators: &Json, metrics: &Metrics) -> Self {
        let flags: Vec<(String, Arc<Json>)> = flags
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, flag)| (name.clone(), flag.clone().into()))
            .collect();
        let evaluators = Evaluators(evaluators.as_object().unwrap().clone());
        self.next(flags.iter().map(|(name, flag)| (name.as_str(), flag)), evaluators, metrics)
    }

    fn text(&self, name: &'static str, context: &EvaluationContext) -> Details<String> {
        self.evaluate(&Flag::new(name, "code default"), context, || UNIX_EPOCH)
    }
}

fn flag(variants: &[&str], default: &str, targeting: &Json) -> Json {
    let variants: Map<String, Json> = variants.iter().map(|v| ((*v).to_owned(), json!(v))).collect();
    json!({"state": "ENABLED", "variants": variants, "defaultVariant": default, "targeting": targeting})
}

fn suits(key: &Json) -> Json {
    let rule = json!({"fractional": [key, ["clubs", 25], ["diamonds", 25], ["hearts", 25], ["spades", 25]]});
    flag(&["clubs", "diamonds", "hearts", "spades", "wild"], "wild", &rule)
}

fn named(name: &str) -> EvaluationContext {
    EvaluationContext::new().with("user", json!({"name": name}))
}

#[test]
fn fractional_answers_as_flagd() {
    let flags = catalog(&json!({
        "fractional-flag": suits(&json!({"cat": [{"var": "$flagd.flagKey"}, {"var": "user.name"}]})),
        "shared-seed": suits(&json!({"cat": ["shared-seed", {"var": "user.name"}]})),
    }));
    for (name, suit) in
        [("jack", "hearts"), ("queen", "spades"), ("ten", "clubs"), ("nine", "diamonds"), ("3", "clubs")]
    {
        let details = flags.text("fractional-flag", &named(name));
        assert_eq!((details.value.as_str(), details.reason), (suit, Reason::TargetingMatch), "{name}");
    }
    for (name, suit) in [("seven", "hearts"), ("eight", "diamonds"), ("nine", "clubs"), ("two", "spades")] {
        assert_eq!(flags.text("shared-seed", &named(name)).value, suit, "{name}");
    }
}

#[test]
fn fractional_takes_the_targeting_key_where_it_names_none() {
    let rule = json!({"fractional": [["heads"], ["tails", 1]]});
    let flags =
        catalog(&json!({"fractional-flag-shorthand": flag(&["heads", "tails", "draw"], "draw", &rule)}));
    let toss = |context| flags.text("fractional-flag-shorthand", &context);
    assert_eq!(toss(EvaluationContext::of("jon@company.com")).value, "heads");
    assert_eq!(toss(EvaluationContext::of("jane@company.com")).value, "tails");
    let nobody = toss(EvaluationContext::new());
    assert_eq!((nobody.value.as_str(), nobody.reason), ("draw", Reason::Default));
    assert!(nobody.message.unwrap().contains("targetingKey"));
}

#[test]
fn fractional_holds_at_the_edges_of_the_hash() {
    let rule = json!({"fractional": [{"var": "targetingKey"}, ["lower", 50], ["upper", 50]]});
    let flags = catalog(&json!({"edge": flag(&["lower", "upper"], "lower", &rule)}));
    for (key, half) in [
        ("ejOoVL", "lower"),
        ("bY9fO-", "lower"),
        ("SI7p-", "lower"),
        ("6LvT0", "upper"),
        ("ceQdGm", "upper"),
    ] {
        assert_eq!(flags.text("edge", &EvaluationContext::of(key)).value, half, "{key}");
    }
}

#[test]
fn fractional_evaluates_rules_in_its_parts() {
    let tier = json!({"==": [{"var": "tier"}, "premium"]});
    let key = json!({"var": "targetingKey"});
    let flags = catalog(&json!({
        "variant": flag(&["premium", "standard", "fallback"], "fallback",
            &json!({"fractional": [key, [{"if": [tier, "premium", "standard"]}, 50], ["standard", 50]]})),
        "weight": flag(&["red", "blue", "fallback"], "fallback",
            &json!({"fractional": [key, ["red", {"if": [tier, 100, 0]}], ["blue", 10]]})),
        "missing": flag(&["red", "blue", "fallback"], "fallback",
            &json!({"fractional": [key, [{"var": "color"}, 50], ["blue", 50]]})),
        "condition": flag(&["big", "small", "fallback"], "fallback",
            &json!({"if": [{"fractional": [[false, 0], [true, 100]]}, "big", "small"]})),
        "negative": flag(&["one", "two", "fallback"], "fallback", &json!({"fractional": [key, ["one", -50], ["two", 100]]})),
        "zero": flag(&["one", "two", "fallback"], "fallback", &json!({"fractional": [key, ["one", 0], ["two", 0]]})),
    }));
    let of = |key: &str, tier: &str| EvaluationContext::of(key).with("tier", tier);
    assert_eq!(flags.text("variant", &of("jon@company.com", "premium")).value, "premium");
    assert_eq!(flags.text("variant", &of("jon@company.com", "basic")).value, "standard");
    assert_eq!(flags.text("variant", &of("user1", "premium")).value, "standard");
    assert_eq!(flags.text("weight", &of("jon@company.com", "premium")).value, "red");
    assert_eq!(flags.text("weight", &of("user1", "basic")).value, "blue");
    assert_eq!(flags.text("missing", &of("jon@company.com", "")).value, "fallback");
    assert_eq!(flags.text("missing", &of("user1", "")).value, "blue");
    assert_eq!(flags.text("condition", &of("some-targeting-key", "")).value, "big");
    assert_eq!(flags.text("negative", &of("any-user", "")).value, "two");
    assert_eq!(flags.text("zero", &of("any-user", "")).value, "fallback");
}

#[test]
fn sem_ver_answers_as_flagd() {
    let compare = |operator: &str, other: &str| json!({"sem_ver": [{"var": "version"}, operator, other]});
    let choose = |operator: &str, other: &str| {
        flag(
            &["match", "no-match", "none"],
            "none",
            &json!({"if": [compare(operator, other), "match", "no-match"]}),
        )
    };
    let flags = catalog(&json!({
        "=": choose("=", "2.0.0"), "<": choose("<", "2.0.0"), ">": choose(">", "2.0.0"),
        "~": choose("~", "3.0.0"), "^": choose("^", "3.0.0"), "^1": choose("^", "1"),
        "v": choose("=", "v1.0.0"), "+": choose("=", "1.0.0+build"), "===": choose("===", "1.0.0"),
    }));
    for (operator, version, variant) in [
        ("=", "2.0.0", "match"),
        ("=", "2.1.0", "no-match"),
        (">", "2.1.0", "match"),
        ("<", "1.9.0", "match"),
        ("<", "2.0.0-alpha", "match"),
        ("=", "2.0.0.0", "none"),
        ("=", "not-a-version", "none"),
        ("~", "3.0.1", "match"),
        ("~", "3.1.0", "no-match"),
        ("^", "3.1.0", "match"),
        ("^", "4.0.0", "no-match"),
        ("v", "1.0.0", "match"),
        ("v", "v1.0.0", "match"),
        ("v", "2.0.0", "no-match"),
        ("^1", "1.5.0", "match"),
        ("^1", "2.0.0", "no-match"),
        ("+", "1.0.0+other", "match"),
        ("===", "1.0.0", "none"),
    ] {
        let context = EvaluationContext::new().with("version", version);
        assert_eq!(flags.text(operator, &context).value, variant, "{version} {operator}");
    }
    let number = EvaluationContext::new().with("version", 1.5);
    assert_eq!(flags.text("^1", &number).value, "match");
    assert_eq!(
        flags.text("=", &EvaluationContext::new()).value,
        "no-match",
        "an attribute that is not there"
    );
}

#[test]
fn starts_with_and_ends_with_answer_as_flagd() {
    let rule = json!({"if": [
        {"starts_with": [{"var": "id"}, "abc"]}, "prefix",
        {"if": [{"ends_with": [{"var": "id"}, "xyz"]}, "postfix", "none"]}
    ]});
    let flags =
        catalog(&json!({"affix": flag(&["prefix", "postfix", "none", "fallback"], "fallback", &rule)}));
    for (id, variant) in [
        (json!("abcdef"), "prefix"),
        (json!("uvwxyz"), "postfix"),
        (json!("lmnopq"), "none"),
        (json!(123), "fallback"),
    ] {
        assert_eq!(
            flags.text("affix", &EvaluationContext::new().with("id", id.clone())).value,
            variant,
            "{id}"
        );
    }
}

#[test]
fn targeting_answers_as_flagd() {
    let rule = json!({"if": [{"==": [{"var": "targetingKey"}, "5c3d8535"]}, "hit", null]});
    let shared = json!({"if": [{"$ref": "is_ballmer"}, "hi", "bye"]});
    let flags = Catalog::default().with(
        &json!({"key": flag(&["hit", "miss"], "miss", &rule), "email": flag(&["hi", "bye"], "bye", &shared)}),
        &json!({"is_ballmer": {"==": ["ballmer@macrosoft.com", {"var": ["email"]}]}}),
    );
    let hit = flags.text("key", &EvaluationContext::of("5c3d8535"));
    assert_eq!((hit.value.as_str(), hit.reason), ("hit", Reason::TargetingMatch));
    let miss = flags.text("key", &EvaluationContext::of("f20bd32d"));
    assert_eq!((miss.value.as_str(), miss.reason), ("miss", Reason::Default));
    let email = EvaluationContext::new().with("email", "ballmer@macrosoft.com");
    assert_eq!(flags.text("email", &email).value, "hi");
    assert_eq!(flags.text("email", &EvaluationContext::new()).value, "bye");
}

#[test]
fn without_a_default_variant_the_code_default_is_served() {
    let rule = json!({"if": [{"==": ["jobs@orange.com", {"var": ["email"]}]}, "special"]});
    let mut stored = flag(&["normal", "special"], "normal", &rule);
    stored["defaultVariant"] = Json::Null;
    let flags = catalog(&json!({"f": stored}));
    let other = flags.text("f", &EvaluationContext::new().with("email", "wozniak@orange.com"));
    assert_eq!(
        (other.value.as_str(), other.reason, other.error_code),
        ("code default", Reason::Default, None)
    );
    let jobs = flags.text("f", &EvaluationContext::new().with("email", "jobs@orange.com"));
    assert_eq!((jobs.value.as_str(), jobs.reason), ("special", Reason::TargetingMatch));
}

#[test]
fn errors_have_openfeatures_codes_and_serve_the_code_default() {
    let flags = catalog(&json!({
        "text": flag(&["one"], "one", &json!({})),
        "lost": flag(&["one"], "one", &json!({"if": [true, "two"]})),
        "broken": {"state": "ON", "variants": {}},
    }));
    let code = |name| flags.text(name, &EvaluationContext::new()).error_code;
    assert_eq!(code("missing"), Some(ErrorCode::FlagNotFound));
    assert_eq!(code("lost"), Some(ErrorCode::General));
    assert_eq!(code("broken"), Some(ErrorCode::ParseError));
    let mismatch = flags.evaluate(&Flag::new("text", 13_i64), &EvaluationContext::new(), || UNIX_EPOCH);
    assert_eq!((mismatch.value, mismatch.error_code), (13, Some(ErrorCode::TypeMismatch)));
}

#[test]
fn a_disabled_flag_serves_the_code_default() {
    let mut stored = flag(&["one"], "one", &json!({}));
    stored["state"] = json!("DISABLED");
    let details = catalog(&json!({"f": stored})).text("f", &EvaluationContext::new());
    assert_eq!((details.value.as_str(), details.reason), ("code default", Reason::Disabled));
}

#[test]
fn a_broken_flag_keeps_its_last_good_version_and_says_so() {
    let before = catalog(&json!({"f": flag(&["one"], "one", &json!({}))}));
    before.text("f", &EvaluationContext::new());
    let after = before.with(&json!({"f": flag(&["one"], "one", &json!({"iff": [true, "one"]}))}), &json!({}));
    let details = after.text("f", &EvaluationContext::new());
    assert_eq!((details.value.as_str(), details.reason), ("one", Reason::Static));
    assert!(details.message.as_deref().unwrap().contains("no operator `iff`"), "{details:?}");
    assert_eq!(after.broken(), 1);
    let healed = after.with(&json!({"f": flag(&["two"], "two", &json!({}))}), &json!({}));
    assert_eq!(healed.text("f", &EvaluationContext::new()).value, "two");
    assert_eq!(healed.broken(), 0);
}

#[test]
fn counts_per_variant_go_on_over_a_change() {
    let metrics = Metrics::new();
    let stored = |default| json!({"f": flag(&["one", "two"], default, &json!({}))});
    let before = Catalog::default().counted(&stored("one"), &json!({}), &metrics);
    before.text("f", &EvaluationContext::new());
    let after = before.counted(&stored("two"), &json!({}), &metrics);
    after.text("f", &EvaluationContext::new());
    let counts = after.iter().next().unwrap().1.good.as_ref().unwrap().counts();
    assert_eq!(counts, [("one".into(), 1), ("two".into(), 1)]);
}

#[test]
fn every_type_is_read() {
    let flags = catalog(&json!({
        "json": {"state": "ENABLED", "variants": {"a": {"width": 3}}, "defaultVariant": "a"},
        "float": {"state": "ENABLED", "variants": {"a": 0.5}, "defaultVariant": "a"},
    }));
    let nobody = EvaluationContext::new();
    let json = flags.evaluate(&Flag::new("json", JsonText("{}")), &nobody, || UNIX_EPOCH);
    assert_eq!(json.value, json!({"width": 3}));
    assert!(
        (flags.evaluate(&Flag::new("float", 0.1), &nobody, || UNIX_EPOCH).value - 0.5).abs() < f64::EPSILON
    );
}

proptest! {
    /// The same as for the boundary function, through a whole rule, wherever the variant stands in it.
    #[test]
    fn widening_a_rollout_of_a_flag_removes_nobody(key in "[a-z]{1,12}", shares in (0_i32..=100, 0_i32..=100), first: bool) {
        let (narrow, wide) = (shares.0.min(shares.1), shares.0.max(shares.1));
        let rollout = |percent: i32| {
            let mut parts = vec![json!(["on", percent]), json!(["off", 100 - percent])];
            if !first {
                parts.reverse();
            }
            catalog(&json!({"f": flag(&["on", "off"], "off", &json!({"fractional": parts}))}))
        };
        let is_on = |percent: i32| rollout(percent).text("f", &EvaluationContext::of(&*key)).value == "on";
        prop_assert!(!is_on(narrow) || is_on(wide));
    }
}
