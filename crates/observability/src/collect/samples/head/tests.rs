use super::*;
use crate::collect::promql::METRIC_NAME;

fn labels(name: &str) -> Labels {
    Labels::new([(METRIC_NAME, name)])
}

fn put(head: &mut Head, name: &str, at_ms: i64, point: Point) -> Outcome {
    let key = name.bytes().fold(7_u128, |key, byte| key * 31 + u128::from(byte));
    head.append(key, || Ok(labels(name)), at_ms, point)
}

fn read(head: &Head, name: &str, now_ms: i64) -> Vec<(i64, f64)> {
    let found = head.select(&[Matcher::equal(METRIC_NAME, name)], i64::MIN + 1, i64::MAX, now_ms);
    found.into_iter().flat_map(|found| found.samples).map(|sample| (sample.at_ms, sample.value)).collect()
}

#[test]
fn samples_come_in_order_and_a_second_try_is_no_fault() {
    let mut head = Head::new(10);
    assert_eq!(put(&mut head, "up", 1000, Point::Value(1.0)), Outcome::Taken);
    assert_eq!(put(&mut head, "up", 1000, Point::Value(1.0)), Outcome::Known);
    assert_eq!(put(&mut head, "up", 1000, Point::Value(2.0)), Outcome::Late);
    assert_eq!(put(&mut head, "up", 900, Point::Value(1.0)), Outcome::Late);
    assert_eq!(put(&mut head, "up", 2000, Point::Value(0.0)), Outcome::Taken);
    assert_eq!(read(&head, "up", 2000), [(1000, 1.0), (2000, 0.0)]);
    let unwritten = head.take_unwritten();
    assert_eq!((unwritten.series.len(), unwritten.samples.len()), (1, 2));
}

#[test]
fn increases_add_up_and_a_repeated_one_counts_once() {
    let mut head = Head::new(10);
    for (at_ms, by) in [(1000, 5.0), (2000, 2.0), (2000, 2.0), (3000, 1.0)] {
        put(&mut head, "jobs_total", at_ms, Point::Increase(by));
    }
    assert_eq!(read(&head, "jobs_total", 3000), [(1000, 5.0), (2000, 7.0), (3000, 8.0)]);
}

#[test]
fn one_series_too_many_is_refused_and_the_known_go_on() {
    let mut head = Head::new(2);
    put(&mut head, "a", 1, Point::Value(1.0));
    put(&mut head, "b", 1, Point::Value(1.0));
    assert_eq!(put(&mut head, "c", 1, Point::Value(1.0)), Outcome::Full);
    assert_eq!(put(&mut head, "a", 2, Point::Value(1.0)), Outcome::Taken);
    head.cut(2);
    head.forget_before(2);
    assert_eq!(head.series_count(), 1, "b was last seen before");
    assert_eq!(put(&mut head, "c", 3, Point::Value(1.0)), Outcome::Taken);
    assert_eq!(put(&mut head, "b", 4, Point::Value(1.0)), Outcome::Full, "its key is not taken for a series");
}

#[test]
fn a_series_ends_after_three_missed_intervals_and_may_come_back() {
    let mut head = Head::new(10);
    for at_ms in [5000, 10_000, 15_000] {
        put(&mut head, "up", at_ms, Point::Value(1.0));
    }
    assert_eq!(read(&head, "up", 29_999).len(), 3);
    let ended = read(&head, "up", 30_000);
    assert!(matches!(ended[..], [_, _, _, (30_000, value)] if is_stale(value)), "{ended:?}");
    put(&mut head, "up", 60_000, Point::Value(1.0));
    let back = read(&head, "up", 60_000);
    assert!(matches!(back[3..], [(30_000, value), (60_000, _)] if is_stale(value)), "{back:?}");
    put(&mut head, "up", 65_000, Point::Value(1.0));
    head.cut(200_000);
    let cut = read(&head, "up", 200_000);
    assert!(matches!(cut[6..], [(80_000, value)] if is_stale(value)), "the cut keeps the mark: {cut:?}");
}

#[test]
fn a_cut_stays_readable_until_it_is_stored() {
    let mut head = Head::new(10);
    put(&mut head, "up", 1000, Point::Value(1.0));
    let cut = head.cut(1000);
    put(&mut head, "up", 2000, Point::Value(2.0));
    assert_eq!(cut.len(), 1);
    assert_eq!(read(&head, "up", 2000), [(1000, 1.0), (2000, 2.0)]);
    head.cut_is_stored();
    assert_eq!(read(&head, "up", 2000), [(2000, 2.0)]);
    let logged = head.take_unwritten().series.len();
    assert_eq!(logged, 2, "the log begins anew with a cut, and names the series again");
}
