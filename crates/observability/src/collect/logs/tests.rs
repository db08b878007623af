use super::*;
use crate::collect::testing::{SECOND, T0, line, logs_request, text};
use crate::otlp::logs::LogRecord;
use std::time::Duration;

const WIDE: Bounds = Bounds { bytes_max: 1 << 30, age_max: Duration::from_hours(24) };

fn open(path: &Path) -> Logs {
    Logs::open(path, WIDE, Clock::system()).unwrap()
}

async fn send(logs: &Logs, node: &str, lines: Vec<LogRecord>) {
    logs.offer(Intake::read(&logs_request(node, lines), judge).unwrap()).unwrap();
    logs.flush().await;
}

fn bodies(page: &Page) -> Vec<&str> {
    page.logs.iter().map(|line| line.body.as_str()).collect()
}

#[tokio::test]
async fn every_condition_finds_its_lines_newest_first() {
    let temporary = tempfile::tempdir().unwrap();
    let logs = open(temporary.path());
    let traced = LogRecord {
        trace_id: 77_u128.to_be_bytes().to_vec(),
        span_id: 5_u64.to_be_bytes().to_vec(),
        attributes: vec![text("job.kind", "Click")],
        ..line(2, 9, "job ran")
    };
    send(&logs, "worker-1", vec![line(3, 17, "job FAILED"), traced, line(1, 5, "polled")]).await;
    send(&logs, "app-a", vec![line(0, 13, "slow"), line(4, 0, "said nothing of its level")]).await;
    let find = |query: LogQuery| logs.search(&query).unwrap();
    let all = find(LogQuery::default());
    assert_eq!(bodies(&all), ["said nothing of its level", "job FAILED", "job ran", "polled", "slow"]);
    assert!(all.next.is_none());
    let warn = find(LogQuery { level: Some(Level::Warn), ..LogQuery::default() });
    assert_eq!(bodies(&warn), ["job FAILED", "slow"]);
    assert_eq!(
        bodies(&find(LogQuery {
            node: Some("app-a".to_owned()),
            level: Some(Level::Warn),
            ..LogQuery::default()
        })),
        ["slow"]
    );
    assert_eq!(
        bodies(&find(LogQuery { text: Some("failed".to_owned()), ..LogQuery::default() })),
        ["job FAILED"]
    );
    assert_eq!(
        bodies(&find(LogQuery { text: Some("click".to_owned()), ..LogQuery::default() })),
        ["job ran"]
    );
    let traced = find(LogQuery { trace: Some(77), ..LogQuery::default() });
    assert_eq!(bodies(&traced), ["job ran"]);
    assert_eq!((traced.logs[0].span_id, traced.logs[0].target.as_str()), (Some(5), "onefold_queue"));
    let between = LogQuery { start_ns: T0 + SECOND, end_ns: T0 + 2 * SECOND, ..LogQuery::default() };
    assert_eq!(bodies(&find(between)), ["job ran", "polled"]);
}

#[tokio::test]
async fn pages_give_every_line_once_though_many_have_the_same_time() {
    let temporary = tempfile::tempdir().unwrap();
    let logs = open(temporary.path());
    for batch in 0..4_u64 {
        let lines = (0..25).map(|n| line(n / 10, 9, &format!("{batch}-{n}"))).collect();
        send(&logs, "app-a", lines).await;
    }
    let mut seen = Vec::new();
    let mut query = LogQuery { limit: 7, ..LogQuery::default() };
    loop {
        let page = logs.search(&query).unwrap();
        assert!(page.logs.len() <= 7);
        seen.extend(page.logs.into_iter().map(|line| (line.time, line.body)));
        let Some(next) = page.next else { break };
        assert_eq!(next.to_string().parse(), Ok(next));
        query.before = Some(next);
    }
    assert!(seen.windows(2).all(|pair| pair[0].0 >= pair[1].0));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
}

#[tokio::test]
async fn lines_are_there_after_a_restart() {
    let temporary = tempfile::tempdir().unwrap();
    let logs = open(temporary.path());
    let many = (0..5000_u64).map(|n| line(n, 9, &format!("line {n}"))).collect();
    send(&logs, "app-a", many).await;
    logs.end();
    let again = open(temporary.path());
    assert_eq!(again.retention().count, 5000);
    assert_eq!(
        bodies(&again.search(&LogQuery { limit: 2, ..LogQuery::default() }).unwrap()),
        ["line 4999", "line 4998"]
    );
}

#[tokio::test]
async fn a_follower_that_is_too_slow_is_told_how_much_it_lost() {
    let temporary = tempfile::tempdir().unwrap();
    let logs = open(temporary.path());
    let mut tail = logs.tail();
    send(&logs, "app-a", vec![line(0, 9, "first")]).await;
    assert_eq!(tail.recv().await.unwrap().body, "first");
    send(&logs, "app-a", (0..1500).map(|n| line(n, 9, "many")).collect()).await;
    assert!(matches!(tail.recv().await, Err(broadcast::error::RecvError::Lagged(lost)) if lost >= 400));
    assert_eq!(tail.recv().await.unwrap().body, "many");
}
