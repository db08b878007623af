use super::testing::{BOUNDS, gauge};
use super::*;
use crate::collect::promql::{Labels, is_stale};
use std::time::Duration;

fn matrix(samples: &Samples, expression: &str) -> Vec<(Labels, Vec<f64>)> {
    let Value::Matrix(series) = samples.query(expression, None).unwrap() else { panic!("no matrix") };
    let values = |samples: &[promql::Sample]| {
        samples.iter().map(|sample| sample.value).filter(|value| !is_stale(*value)).collect()
    };
    series.into_iter().map(|series| (series.labels, values(&series.samples))).collect()
}

struct Steps {
    samples: Samples,
    clock: Clock,
}

impl Steps {
    fn open(path: &Path, clock: &Clock) -> Self {
        Self { samples: Samples::open(path, BOUNDS, clock.clone()).unwrap(), clock: clock.clone() }
    }

    /// Writes `count` times, five seconds apart.
    fn run(&self, node: &str, shards: u32, count: u32) {
        for i in 0..count {
            let at_ms = sink::millis(self.clock.wall());
            let accepted = self.samples.write(&gauge(node, "load", shards, at_ms, f64::from(i))).unwrap();
            assert_eq!((accepted.accepted, accepted.rejected), (shards.into(), 0), "{}", accepted.why);
            self.clock.advance(Duration::from_secs(5));
        }
    }
}

#[tokio::test]
async fn what_was_flushed_is_there_after_a_kill_and_what_was_cut_too() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let store = Steps::open(directory.path(), &clock);
    store.run("app-a", 3, 20);
    store.samples.flush().await;
    clock.advance(Duration::from_mins(10));
    store.run("app-a", 3, 5);
    store.samples.flush().await; // Ten minutes have passed: this one cuts.
    store.run("app-a", 3, 5);
    store.samples.flush().await;
    let before = matrix(&store.samples, "load{shard=\"1\"}[1h]");
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].1.len(), 30);
    assert_eq!(
        before[0].0.to_string(),
        r#"load{instance="app-a", job="links", node="app-a", role="app", shard="1", zone="a"}"#
    );
    // Nothing is told to the first store: its files are as a kill leaves them.
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let again = Steps::open(copy.path(), &clock);
    assert_eq!(matrix(&again.samples, "load{shard=\"1\"}[1h]"), before);
    again.run("app-a", 3, 5);
    assert_eq!(matrix(&again.samples, "load{shard=\"1\"}[1h]")[0].1.len(), 35, "the series goes on");
    assert_eq!(again.samples.series_count(), 3);
}

#[tokio::test]
async fn a_dead_nodes_gauges_vanish_after_three_intervals() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let store = Steps::open(directory.path(), &clock);
    store.run("app-a", 1, 5);
    let alive = || match store.samples.query("count(load)", None).unwrap() {
        Value::Vector(found) => found.len(),
        _ => 0,
    };
    assert_eq!(alive(), 1);
    clock.advance(Duration::from_secs(9));
    assert_eq!(alive(), 1, "14 s after the last");
    clock.advance(Duration::from_secs(2));
    assert_eq!(alive(), 0, "16 s after the last");
}

#[tokio::test]
async fn old_segments_go_and_their_series_are_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let store = Steps::open(directory.path(), &clock);
    store.run("app-a", 2, 3);
    for _ in 0..30 {
        clock.advance(Duration::from_hours(1));
        store.run("app-b", 2, 3);
        store.samples.flush().await;
    }
    // The writer enforces the age when it next looks up.
    let gone = async {
        while store.samples.series_count() > 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("app-a is still known");
    let nodes = store.samples.label_values("node", &[], i64::MIN);
    assert_eq!(nodes.into_iter().collect::<Vec<_>>(), ["app-b"]);
    let kept = matrix(&store.samples, "load{shard=\"0\"}[48h]");
    assert!((60..=90).contains(&kept[0].1.len()), "a day of 30 hours: {}", kept[0].1.len());
}

#[tokio::test]
async fn what_is_refused_is_counted_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let store = Steps::open(directory.path(), &clock);
    let now_ms = sink::millis(clock.wall());
    let write = |at_ms| store.samples.write(&gauge("app-a", "load", 1, at_ms, 1.0)).unwrap();
    assert_eq!(write(now_ms).why, "");
    assert_eq!(write(now_ms).accepted, 1, "a second try is no fault");
    let late = write(now_ms - 1000);
    assert_eq!((late.accepted, late.rejected), (0, 1));
    assert!(late.why.contains("not later than the last one"), "{}", late.why);
    assert!(write(now_ms + 3_600_000).why.contains("ahead of the observer's clock"));
    assert!(write(now_ms - 48 * 3_600_000).why.contains("older than what the observer keeps"));
}

#[tokio::test]
async fn the_log_counts_towards_the_bounds_which_hold_while_writing() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::manual();
    let bounds = Bounds { bytes_max: 1 << 20, ..BOUNDS };
    let samples = Samples::open(directory.path(), bounds, clock.clone()).unwrap();
    let on_disk = |suffix: &str| -> u64 {
        let entries = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
        let counted = entries.filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.ends_with(suffix) && !name.ends_with("-shm") && name != "ledger"
        });
        counted.map(|entry| entry.metadata().unwrap().len()).sum()
    };
    let (mut chance, mut log_bytes) = (1_u64, 0);
    for _ in 0..100 {
        clock.advance(Duration::from_secs(1));
        // Values that no compression makes small.
        let mut metrics = gauge("app-a", "load", 1400, sink::millis(clock.wall()), 0.0);
        let Some(crate::otlp::metrics::metric::Data::Gauge(gauge)) =
            &mut metrics[0].scope_metrics[0].metrics[0].data
        else {
            panic!("no gauge")
        };
        for point in &mut gauge.data_points {
            chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let value = f64::from_bits(chance >> 2);
            point.value = Some(crate::otlp::metrics::number_data_point::Value::AsDouble(value));
        }
        assert_eq!(samples.write(&metrics).unwrap().rejected, 0);
        // The second one waits for what the writer does after the first.
        samples.flush().await;
        samples.flush().await;
        let (all, told) = (on_disk(""), samples.retention().bytes);
        // One commit may stand above the bound until the oldest has gone.
        assert!(all <= bounds.bytes_max + (256 << 10), "{all} bytes");
        assert_eq!(told, all, "what is told is what is there");
        log_bytes = on_disk(".log").max(log_bytes);
    }
    assert!(log_bytes > 50_000, "the log was never of a size that matters: {log_bytes} bytes");
    assert!(log_bytes <= bounds.bytes_max / 4, "{log_bytes} bytes");
    assert!(samples.retention().bytes > bounds.bytes_max / 2, "most of what is allowed is used");
    assert!(samples.retention().count < 100 * 1400, "the oldest has gone");
}
