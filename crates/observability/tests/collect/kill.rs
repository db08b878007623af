//! A collector that is killed keeps every block that it has written.

use crate::victim::Victim;
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_observability::collect::spans::Query;
use onefold_observability::collect::{Collector, Config};
use onefold_observability::otlp::trace::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message as _;
use std::time::{Duration, UNIX_EPOCH};

const TRACES: &str = "/v1/traces";
const SPANS: u64 = 100;

/// Traces of one span each, numbered.
fn spans(first: u64) -> Vec<u8> {
    let now = Clock::system().wall().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let span = |number: u64| Span {
        trace_id: u128::from(number).to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: "n".to_owned(),
        start_time_unix_nano: now.try_into().unwrap(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (first..first + SPANS).map(span).collect(), ..ScopeSpans::default() };
    TracesData {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() }],
    }
    .encode_to_vec()
}

#[tokio::test]
async fn a_killed_collector_keeps_what_it_had_written_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let victim = Victim::start(directory.path());
    let client = reqwest::Client::new();
    let (mut sent, mut kept) = (1, 0);
    let clock = Clock::system();
    let deadline = clock.now() + Duration::from_secs(30);
    while kept < 1500 {
        assert!(victim.send(&client, TRACES, spans(sent)).await);
        sent += SPANS;
        [kept, ..] = victim.kept().await;
        assert!(clock.now() < deadline, "{kept} of {sent} spans are kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It dies while it takes more.
    let (otlp, sender) = (victim.otlp.clone(), client.clone());
    let more = async {
        let mut number = sent;
        loop {
            let request = sender.post(format!("http://{otlp}{TRACES}"));
            let request = request.header("content-type", "application/x-protobuf").body(spans(number));
            if request.send().await.is_err() {
                return number;
            }
            number += SPANS;
        }
    };
    let kill = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        victim.kill();
    };
    let (sent, ()) = tokio::join!(more, kill);

    let (tasks, metrics) = (TaskGroup::new(), Metrics::new());
    let collector = Collector::open(Config::default(), directory.path(), &tasks, &metrics, &clock).unwrap();
    let after = collector.retention()[0].count;
    assert!(after >= kept && after <= sent + SPANS, "{kept} were kept, then {after} of {sent}");
    let found = tokio::task::spawn_blocking(move || {
        let present = (1..=sent).filter(|number| {
            collector.spans().trace(u128::from(*number)).unwrap().is_some_and(|trace| trace.spans.len() == 1)
        });
        let present = present.count();
        let newest = collector.spans().search(&Query::default()).unwrap();
        assert_eq!((newest.traces.len(), newest.truncated), (20, true));
        present
    });
    assert_eq!(u64::try_from(found.await.unwrap()).unwrap(), after);
    // Whoever comes next finds the files in order.
    let again = Victim::start(directory.path());
    assert!(again.send(&client, TRACES, spans(1_000_000)).await);
    assert!(again.kept().await[0] >= after);
}
