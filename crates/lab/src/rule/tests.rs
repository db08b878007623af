//! Each rule holds of what a right system may answer, and is broken by the bug that it is there for.

use super::effects::Effects;
use super::fenced::Effect;
use super::{OF_KEYS, effects, fenced, fresh, kept, linearizable, sessions};
use crate::history::{Action, Level, Operation, Outcome, Version};
use crate::verdict::Verdict;
use proptest::prelude::*;
use std::time::Duration;

const STRONG: Level = Level::Strong;
const SESSION: Level = Level::YourWrites;

fn operation(client: u32, times: (u64, u64), action: Action, outcome: Outcome) -> Operation {
    let (called, ended) = (Duration::from_millis(times.0), Duration::from_millis(times.1));
    Operation { client, key: "a".to_owned(), action, called, ended, outcome }
}

fn write(client: u32, called: u64, ended: u64, version: u64) -> Operation {
    operation(client, (called, ended), Action::Write(Version(version)), Outcome::Written)
}

fn unknown(client: u32, called: u64, ended: u64, version: u64) -> Operation {
    operation(client, (called, ended), Action::Write(Version(version)), Outcome::Unknown)
}

fn read(client: u32, called: u64, ended: u64, level: Level, version: u64) -> Operation {
    operation(client, (called, ended), Action::Read(level), Outcome::Saw(Version(version)))
}

/// What was broken, by the operations that show it.
fn shown(verdict: Verdict) -> Vec<Operation> {
    match verdict {
        Verdict::Broken(violation) => violation.operations,
        other => panic!("{other}"),
    }
}

#[track_caller]
fn held(verdict: &Verdict) {
    assert!(matches!(verdict, Verdict::Held { .. }), "{verdict}");
}

#[test]
fn a_lost_write_is_found() {
    let (first, second) = (write(1, 0, 1, 1), write(1, 2, 3, 2));
    let kept_history = [first.clone(), second.clone(), read(2, 5, 6, STRONG, 2)];
    held(&kept::check(&kept_history));
    let lost = read(2, 5, 6, STRONG, 1);
    assert_eq!(shown(kept::check(&[first.clone(), second.clone(), lost.clone()])), [second, lost]);
    assert!(matches!(kept::check(&[first]), Verdict::Unknown(_)), "nobody looked");
}

#[test]
fn a_write_of_unknown_outcome_may_be_there_or_not() {
    for seen in [1, 2] {
        let history = [write(1, 0, 1, 1), unknown(1, 2, 3, 2), read(2, 5, 6, STRONG, seen)];
        held(&kept::check(&history));
        held(&linearizable::check(&history));
    }
    let came_and_went =
        [write(1, 0, 1, 1), unknown(1, 2, 3, 2), read(2, 5, 6, STRONG, 2), read(2, 7, 8, STRONG, 1)];
    assert_eq!(shown(linearizable::check(&came_and_went)).len(), 4);
}

#[test]
fn what_nobody_wrote_is_found() {
    let early = [read(2, 0, 1, SESSION, 1), write(1, 2, 3, 1)];
    assert_eq!(shown(kept::check(&early)).len(), 2, "read before it was written");
    let refused = operation(1, (0, 1), Action::Write(Version(1)), Outcome::Failed);
    assert_eq!(
        shown(kept::check(&[refused, read(2, 2, 3, Level::Any, 1)])).len(),
        2,
        "its write was refused"
    );
}

#[test]
fn a_session_that_misses_its_write_or_goes_backwards_is_found() {
    let (first, second) = (write(1, 0, 1, 1), write(1, 2, 3, 2));
    let missed = read(1, 4, 5, SESSION, 1);
    assert_eq!(
        shown(sessions::check(&[first.clone(), second.clone(), missed.clone()])),
        [second.clone(), missed]
    );
    let (new, old) = (read(2, 4, 5, SESSION, 2), read(2, 6, 7, SESSION, 1));
    assert_eq!(
        shown(sessions::check(&[first.clone(), second.clone(), new.clone(), old.clone()])),
        [new, old]
    );
    let others = [first, second, read(2, 4, 5, SESSION, 1), read(3, 6, 7, Level::Any, 0)];
    held(&sessions::check(&others));
}

#[test]
fn a_read_past_its_bound_is_found() {
    let bounded = Level::Bounded(Duration::from_millis(100));
    let writes = [write(1, 0, 10, 1), write(1, 20, 30, 2)];
    let with = |read: &Operation| [&writes[..], std::slice::from_ref(read)].concat();
    held(&fresh::check(&with(&read(2, 130, 140, bounded, 1))));
    let stale = read(2, 131, 140, bounded, 1);
    assert_eq!(shown(fresh::check(&with(&stale))), [writes[1].clone(), stale]);
}

#[test]
fn a_stale_strong_read_is_found_in_its_smallest_history() {
    let mut history: Vec<Operation> = (1..200).map(|at| write(1, at * 10, at * 10 + 5, at)).collect();
    history.extend((1..200).map(|at| read(2, at * 10 + 6, at * 10 + 7, STRONG, at)));
    held(&linearizable::check(&history));
    history.push(read(3, 1_508, 1_509, STRONG, 149));
    let shown = shown(linearizable::check(&history));
    assert_eq!(
        shown,
        [write(1, 1490, 1495, 149), write(1, 1500, 1505, 150), read(3, 1_508, 1_509, STRONG, 149)]
    );
}

#[test]
fn concurrent_reads_may_disagree_once_and_no_more() {
    let pair = |first: u64, second: u64| {
        [write(1, 0, 1, 1), write(1, 2, 20, 2), read(2, 3, 5, STRONG, first), read(3, 6, 8, STRONG, second)]
    };
    held(&linearizable::check(&pair(1, 2)));
    assert_eq!(shown(linearizable::check(&pair(2, 1))).len(), 4, "the new one was seen, then the old one");
}

#[test]
fn effects_that_are_lost_or_applied_twice_are_found() {
    let counted =
        |counted| effects::check(&[Effects { of: "a".to_owned(), acknowledged: 3, unknown: 1, counted }]);
    held(&counted(3));
    held(&counted(4));
    assert!(matches!(counted(2), Verdict::Broken(lost) if lost.what.contains("lost")));
    assert!(matches!(counted(5), Verdict::Broken(twice) if twice.what.contains("twice")));
}

#[test]
fn an_effect_under_an_overtaken_token_is_found() {
    let effect = |holder: &str, token, called, ended| Effect {
        lock: "purge".to_owned(),
        holder: holder.to_owned(),
        token,
        called: Duration::from_millis(called),
        ended: Duration::from_millis(ended),
    };
    let (first, second) = (effect("a", 1, 0, 5), effect("b", 2, 4, 8));
    held(&fenced::check(&[first.clone(), second.clone()]));
    let woken = effect("a", 1, 9, 10);
    assert!(matches!(fenced::check(&[first.clone(), second, woken]), Verdict::Broken(_)));
    assert!(
        matches!(fenced::check(&[first, effect("b", 1, 6, 7)]), Verdict::Broken(_)),
        "one token, two holders"
    );
}

/// Clients of a right register: each operation takes effect at a moment between its call and its end.
fn right() -> impl Strategy<Value = Vec<Operation>> {
    let one = (0_u64..400, 0_u64..20, 0_u64..20, any::<bool>(), prop::bool::weighted(0.9));
    prop::collection::vec(one, 1..60).prop_map(|mut drawn| {
        drawn.sort_by_key(|(at, ..)| *at);
        let mut held = 0;
        let mut history = Vec::new();
        for (number, (at, before, after, is_write, is_known)) in (1..).zip(drawn) {
            let times = (at.saturating_sub(before), at + after);
            let client = u32::try_from(number).unwrap();
            if is_write {
                held = number;
                let outcome = if is_known { Outcome::Written } else { Outcome::Unknown };
                history.push(operation(client, times, Action::Write(Version(number)), outcome));
            } else {
                history.push(read(client, times.0, times.1, STRONG, held));
            }
        }
        history.sort_by_key(|operation| operation.called);
        history
    })
}

proptest! {
    #[test]
    fn a_right_register_is_linearizable(history in right()) {
        held(&linearizable::check(&history));
    }

    /// A read that answers what an acknowledged write had replaced before the read was called.
    #[test]
    fn a_register_that_forgets_is_not(history in right()) {
        let last = history.iter().map(|operation| operation.ended).max().unwrap_or_default();
        let at = u64::try_from(last.as_millis()).unwrap() + 10;
        let mut history = history;
        history.extend([write(900, at, at + 1, 900), write(901, at + 2, at + 3, 901), read(902, at + 4, at + 5, STRONG, 900)]);
        prop_assert_eq!(shown(linearizable::check(&history)).len(), 3);
    }
}

#[test]
fn an_empty_history_breaks_nothing() {
    for (name, rule) in OF_KEYS {
        assert_eq!(rule(&[]), Verdict::Held { checked: 0 }, "{name}");
    }
}
