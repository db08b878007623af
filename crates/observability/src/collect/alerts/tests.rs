mod listing;

use super::*;
use crate::collect::promql::Query;
use crate::collect::samples::testing::Store;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::{Json, Router, routing::post};
use serde_json::Value as Received;
use std::collections::BTreeMap;
use std::time::Duration;

const RULES: &str = r#"
groups:
  - name: nodes
    rules:
      - alert: Busy
        expr: load > 5
        for: 10s
        labels: {severity: warn}
        annotations: {summary: "{{ $labels.node }} is at {{ $value | humanize }}"}
      - record: load:max
        expr: max(load)
      - alert: Broken
        expr: load / on () load > 2
"#;

/// What a receiver got of notifications; it refuses as many as it is told to.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<(Vec<Received>, u32)>>);

impl Inbox {
    async fn start(&self) -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let take = |Shared(receiver): Shared<Self>, Json(message): Json<Received>| async move {
            let mut receiver = receiver.0.lock().unwrap();
            if receiver.1 > 0 {
                receiver.1 -= 1;
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            receiver.0.push(message);
            StatusCode::OK
        };
        let app = Router::new().route("/hook", post(take)).with_state(self.clone());
        TaskGroup::new().spawn("receiver", async move { drop(axum::serve(listener, app).await) });
        Webhook::new(&format!("http://{address}/hook")).unwrap().receiver(None).unwrap()
    }

    async fn wait(&self, count: usize, mut meanwhile: impl FnMut()) -> Vec<Received> {
        let arrived = async {
            while self.0.lock().unwrap().0.len() < count {
                meanwhile();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("no notification came");
        self.0.lock().unwrap().0.clone()
    }
}

/// A receiver that is away.
fn nobody() -> Receiver {
    Webhook::new("http://127.0.0.1:1/").unwrap().receiver(None).unwrap()
}

/// Alerts over a store, whose groups are evaluated when a test says so.
struct Bench {
    store: Store,
    directory: tempfile::TempDir,
    settings: Settings,
}

impl Bench {
    fn new(receiver: Option<Receiver>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rules = directory.path().join("rules.yaml");
        std::fs::write(&rules, RULES).unwrap();
        let external_url = "http://console:8500/".to_owned();
        Self {
            store: Store::open(),
            directory,
            settings: Settings { rules: Some(rules), receiver, external_url },
        }
    }

    fn open(&self) -> Alerts {
        let (samples, clock) = (self.store.samples().clone(), self.store.clock());
        Alerts::open(self.settings.clone(), self.directory.path(), samples, clock).unwrap()
    }

    /// Sets `load` of a node and evaluates, five seconds later than the last time.
    fn step(&self, alerts: &Alerts, load: f64) {
        self.store.clock().advance(Duration::from_secs(5));
        self.store.set("app-a", "load", load);
        alerts.0.evaluate(0);
    }
}

fn busy(alerts: &Alerts) -> Shown {
    alerts.list().alerts.into_iter().find(|alert| alert.name == "Busy").unwrap()
}

#[tokio::test]
async fn an_alert_goes_through_its_states_in_sight() {
    let bench = Bench::new(None);
    let alerts = bench.open();
    let changes = alerts.changes();
    assert_eq!((busy(&alerts).state, busy(&alerts).severity.as_deref()), (State::Inactive, Some("warn")));
    bench.step(&alerts, 9.0);
    assert_eq!(busy(&alerts).state, State::Pending);
    bench.step(&alerts, 9.0);
    bench.step(&alerts, 9.5);
    let firing = busy(&alerts);
    assert_eq!((firing.state, firing.value, firing.for_s), (State::Firing, Some(9.5), 10.0));
    assert_eq!(firing.annotations["summary"], "app-a is at 9.5");
    assert_eq!((&*firing.labels["alertname"], &*firing.labels["node"]), ("Busy", "app-a"));
    bench.step(&alerts, 1.0);
    assert_eq!(busy(&alerts).state, State::Resolved);
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_rule_that_fails_shows_its_error_and_the_others_go_on() {
    let bench = Bench::new(None);
    let alerts = bench.open();
    bench.store.set("app-b", "load", 1.0);
    bench.step(&alerts, 9.0);
    let broken = alerts.list().alerts.into_iter().find(|alert| alert.name == "Broken").unwrap();
    assert!(broken.error.is_some_and(|error| error.contains("many-to-many matching not allowed")));
    assert_eq!(busy(&alerts).error, None);
    let recorded = Query::parse("load:max").unwrap();
    let recorded = bench.store.samples().evaluate(&recorded, bench.store.now_ms()).unwrap();
    assert!(serde_json::to_string(&recorded).unwrap().contains(r#""__name__":"load:max""#));
}

#[tokio::test]
async fn the_receiver_hears_of_firing_and_resolved_though_it_fails_at_first() {
    let receiver = Inbox::default();
    receiver.0.lock().unwrap().1 = 2;
    let bench = Bench::new(Some(receiver.start().await));
    let alerts = bench.open();
    (0..3).for_each(|_| bench.step(&alerts, 9.0));
    let tasks = TaskGroup::new();
    tasks.spawn(
        "notify",
        notify::run(Arc::clone(&alerts.0), bench.settings.receiver.clone().unwrap(), tasks.stopping()),
    );
    let clock = bench.store.clock();
    let received = receiver
        .wait(1, || {
            clock.advance(Duration::from_secs(1));
            alerts.0.changed();
        })
        .await;
    let message = &received[0];
    assert_eq!(
        (&message["version"], &message["status"], &message["receiver"]),
        (&"4".into(), &"firing".into(), &"onefold".into())
    );
    assert_eq!(message["groupLabels"]["alertname"], "Busy");
    assert_eq!(message["externalURL"], "http://console:8500");
    let alert = &message["alerts"][0];
    assert_eq!((&alert["status"], &alert["labels"]["node"]), (&"firing".into(), &"app-a".into()));
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert!(
        alert["generatorURL"].as_str().unwrap().starts_with("http://console:8500/metrics?query=load+%3E+5")
    );
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
    // The receiver has the message a moment before its answer is counted.
    let counted = async {
        loop {
            let told = alerts.list().notifications;
            if (told.sent, told.failed, told.last_error) == (1, 2, None) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), counted)
        .await
        .expect("one sent, two failed, no error left");
    bench.step(&alerts, 1.0);
    let received = receiver.wait(2, || {}).await;
    assert_eq!(
        (&received[1]["status"], &received[1]["alerts"][0]["status"]),
        (&"resolved".into(), &"resolved".into())
    );
    tasks.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_restart_keeps_states_and_silences_and_what_was_told() {
    let receiver = Inbox::default();
    let bench = Bench::new(Some(receiver.start().await));
    let alerts = bench.open();
    (0..3).for_each(|_| bench.step(&alerts, 9.0));
    let since = busy(&alerts).since;
    let news = alerts.0.news();
    assert_eq!(news.len(), 1);
    let tasks = TaskGroup::new();
    tasks.spawn(
        "notify",
        notify::run(Arc::clone(&alerts.0), bench.settings.receiver.clone().unwrap(), tasks.stopping()),
    );
    receiver.wait(1, || {}).await;
    assert!(tasks.stop(Duration::from_secs(5)).await);
    let new = NewSilence {
        matchers: BTreeMap::from([("alertname".to_owned(), "Busy".to_owned())]),
        for_s: 3600,
        reason: "known".to_owned(),
    };
    let silence = alerts.silence(new).unwrap();
    drop(alerts);

    let again = bench.open();
    let kept = busy(&again);
    assert_eq!((kept.state, kept.since, kept.silence_id), (State::Firing, since, Some(silence.id.clone())));
    assert!(again.0.news().is_empty(), "it was told before");
    assert!(again.unsilence(&silence.id) && !again.unsilence(&silence.id));
    assert_eq!(busy(&again).silenced_until, None);
}

#[tokio::test]
async fn nobody_is_told_of_what_is_silenced_until_the_silence_ends() {
    let bench = Bench::new(Some(nobody()));
    let alerts = bench.open();
    let new = NewSilence {
        matchers: BTreeMap::from([("node".to_owned(), "app-a".to_owned())]),
        for_s: 60,
        reason: String::new(),
    };
    alerts.silence(new).unwrap();
    (0..4).for_each(|_| bench.step(&alerts, 9.0));
    assert_eq!(busy(&alerts).state, State::Firing);
    assert!(alerts.0.news().is_empty());
    (0..10).for_each(|_| bench.step(&alerts, 9.0));
    assert_eq!(alerts.0.news().len(), 1);
}

#[tokio::test]
async fn an_alert_that_rests_is_shown_as_silenced_too() {
    let alerts = Bench::new(None).open();
    let matchers = BTreeMap::from([("alertname".to_owned(), "Busy".to_owned())]);
    let silence = alerts.silence(NewSilence { matchers, for_s: 60, reason: String::new() }).unwrap();
    let shown = busy(&alerts);
    assert_eq!((shown.state, shown.silence_id), (State::Inactive, Some(silence.id)));
    assert!(shown.silenced_until.is_some());
}

#[tokio::test]
async fn a_test_reaches_the_receiver_or_says_why_not() {
    let receiver = Inbox::default();
    let bench = Bench::new(Some(receiver.start().await));
    bench.open().test().await.unwrap();
    assert_eq!(receiver.wait(1, || {}).await[0]["alerts"][0]["labels"]["alertname"], "TestNotification");
    let none = Bench::new(None).open().test().await.unwrap_err();
    assert!(none.contains("no receiver is set"), "{none}");
    let away = Bench::new(Some(nobody())).open().test().await.unwrap_err();
    assert!(away.starts_with("connect to the receiver"), "{away}");
}

/// The texts in the sources of all crates, where metrics are named.
fn sources(directory: &Path, all: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[tokio::test]
async fn the_shipped_rules_evaluate_and_name_metrics_that_exist() {
    let bench = Bench { settings: Settings::default(), ..Bench::new(None) };
    let alerts = bench.open();
    assert_eq!(alerts.list().rules_from, "built in");
    (0..alerts.0.groups.len()).for_each(|group| alerts.0.evaluate(group));
    for alert in alerts.list().alerts {
        assert_eq!((alert.error, alert.state), (None, State::Inactive), "{}", alert.name);
        assert!(alert.severity.is_some(), "{}", alert.name);
    }
    let mut code = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../"), &mut code);
    for rule in alerts.0.groups.iter().flat_map(|group| &group.rules) {
        for name in rule.query.metric_names() {
            let family =
                ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let named =
                [name.as_str(), family.unwrap_or(&name)].iter().any(|n| code.contains(&format!("\"{n}\"")));
            assert!(named, "{} asks for {name}, which no node has", rule.name());
        }
    }
}

/// With the last worker its gauges end; the observer counts then.
#[tokio::test]
async fn jobs_wait_is_told_of_though_the_worker_that_counted_is_gone() {
    let bench = Bench { settings: Settings::default(), ..Bench::new(None) };
    let alerts = bench.open();
    let group = alerts.0.groups.iter().position(|group| &*group.name == "queue").unwrap();
    let step = |node: &str, oldest: f64| {
        bench.store.clock().advance(Duration::from_secs(5));
        bench.store.set(node, "onefold_queue_oldest_seconds", oldest);
        alerts.0.evaluate(group);
        alerts.list().alerts.into_iter().find(|alert| alert.name == "JobsWait").unwrap().state
    };
    assert_eq!(step("worker-1", 50.0), State::Inactive);
    assert_eq!(step("worker-1", 0.0), State::Inactive);
    let mut oldest =
        [10.0, 55.0, 61.0, 66.0, 71.0, 76.0, 81.0, 86.0].map(|age| step("observer-1", age)).into_iter();
    assert!(oldest.by_ref().take(2).all(|state| state == State::Inactive));
    assert!(oldest.all(|state| state == State::Pending));
    assert_eq!(step("observer-1", 91.0), State::Firing);
    assert_eq!(step("observer-1", 0.0), State::Resolved);
}
