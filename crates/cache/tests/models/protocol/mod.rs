//! One key, two levels, two nodes: two writers (each may die after its commit), a lagging replica, an asynchronous
//! bus, tails, lease expiry, flights, an L2 that forgets, and sessions that come back. Version i is written by writer i,
//! and its LSN is i.
//!
//! No interleaving shows a session less than it wrote or was shown, or leaves an old value behind for ever; with any
//! one rule taken away, some do.

mod reading;
mod setting;
mod world;
mod writing;

use crate::explore::{Outcome, explore};
use crate::rules::Rules;
use onefold_cache::decision::{self, Demand, Record};
use onefold_core::Lsn;
use onefold_database::Stamp;
use setting::{Levels, Session, Setting, Story, Visitors};

const fn two(one: (usize, Session), other: (usize, Session)) -> Visitors {
    [Some(one), Some(other), None]
}

const WRITERS_READ: [Visitors; 4] = [
    two((0, Session::Fresh), (0, Session::Wrote(1))),
    two((1, Session::Fresh), (0, Session::Wrote(1))),
    two((0, Session::Fresh), (1, Session::Wrote(1))),
    two((0, Session::Wrote(1)), (0, Session::Wrote(2))),
];

/// Somebody fills the caches; a session reads, and reads again at the node that has a tail.
const fn returns(filler: usize, first: usize) -> Visitors {
    [Some((filler, Session::Fresh)), Some((first, Session::Fresh)), Some((0, Session::Of(1)))]
}

const RETURNS: [Visitors; 4] = [returns(0, 1), returns(1, 1), returns(0, 0), returns(1, 0)];

fn run(levels: Levels, story: Story, rules: impl Fn() -> Rules) -> Outcome {
    let mut states = 0;
    let visitors = match story {
        Story::Plain => &WRITERS_READ[..],
        Story::Forgets | Story::Tails => &WRITERS_READ[..1],
        Story::Returns => &RETURNS[..],
    };
    for &readers in visitors {
        match explore(&Setting { readers, levels, story, rules: rules() }) {
            Outcome::Holds { states: more } => states += more,
            violated @ Outcome::Violated { .. } => return violated,
        }
    }
    Outcome::Holds { states }
}

#[test]
fn both_levels_hold() {
    run(Levels::Both, Story::Plain, Rules::default).holds();
}

#[test]
fn both_levels_hold_when_l2_forgets() {
    run(Levels::Both, Story::Forgets, Rules::default).holds();
}

#[test]
fn both_levels_hold_with_tails() {
    run(Levels::Both, Story::Tails, Rules::default).holds();
}

#[test]
fn l1_alone_holds() {
    run(Levels::L1Alone, Story::Plain, Rules::default).holds();
    run(Levels::L1Alone, Story::Tails, Rules::default).holds();
}

#[test]
fn a_session_never_reads_backwards() {
    run(Levels::Both, Story::Returns, Rules::default).holds();
    run(Levels::L1Alone, Story::Returns, Rules::default).holds();
}

/// Takes one rule away and expects to be punished.
#[track_caller]
fn planted(levels: Levels, story: Story, rule: &str, plant: fn(&mut Rules)) {
    let rules = || {
        let mut rules = Rules::default();
        plant(&mut rules);
        rules
    };
    run(levels, story, rules).is_violated(rule);
}

#[test]
fn without_the_lease_an_old_fill_overwrites_an_invalidation() {
    planted(Levels::Both, Story::Plain, "the lease", |rules| rules.fill_is_stored = |_, _| true);
}

#[test]
fn without_revocation_an_old_fill_overwrites_an_invalidation() {
    planted(Levels::Both, Story::Plain, "revocation", |rules| {
        rules.invalidated =
            |record, at| Record { valid: false, tombstone: at.max(record.tombstone), ..record };
    });
}

#[test]
fn without_the_need_a_lagging_replica_fills() {
    planted(Levels::Both, Story::Plain, "need", |rules| rules.need = |_, _| Lsn::ZERO);
}

#[test]
fn without_the_floor_of_an_l2_that_forgot_a_lagging_replica_fills() {
    planted(Levels::Both, Story::Forgets, "the epoch's floor", |rules| {
        rules.need = |tombstone, _| tombstone.unwrap_or_default();
    });
}

#[test]
fn without_the_generation_an_old_copy_enters_l1() {
    planted(Levels::Both, Story::Plain, "the generation", |rules| rules.l1_admits = |_, _| true);
    planted(Levels::L1Alone, Story::Plain, "the generation, L1 alone", |rules| rules.l1_admits = |_, _| true);
}

#[test]
fn without_the_token_l1_serves_what_is_old() {
    planted(Levels::Both, Story::Plain, "the token at L1", |rules| rules.l1_serves = |_, _| true);
    planted(Levels::L1Alone, Story::Plain, "the token, L1 alone", |rules| rules.l1_serves = |_, _| true);
}

#[test]
fn without_the_join_rule_a_flight_serves_what_is_old() {
    planted(Levels::Both, Story::Plain, "the join rule", |rules| rules.flight_serves = |_, _, _| true);
    planted(Levels::L1Alone, Story::Plain, "the join rule, L1 alone", |rules| {
        rules.flight_serves = |_, _, _| true;
    });
}

#[test]
fn the_position_of_a_new_epoch_is_no_stamp() {
    planted(Levels::Both, Story::Forgets, "the difference of epoch and stamp", |rules| {
        rules.primary_stamp = |_, least| Stamp::Replayed(least);
    });
}

#[test]
fn without_the_floor_a_lagging_replica_fills_l1() {
    planted(Levels::L1Alone, Story::Plain, "the floor, L1 alone", |rules| {
        rules.load_least = |freshness| freshness.token;
    });
}

#[test]
fn an_unconfirmed_session_must_not_trust_l2() {
    planted(Levels::Both, Story::Tails, "the token's word on what L2 has confirmed", |rules| {
        rules.l2_serves = |_, _, _| true;
    });
}

#[test]
fn a_watermark_does_not_vouch_for_what_l2_gave() {
    planted(Levels::Both, Story::Tails, "the stamp of what L2 gave", |rules| {
        rules.watermark_vouches = |_, _| true;
    });
}

#[test]
fn a_token_that_does_not_cover_what_was_shown_reads_backwards() {
    for levels in [Levels::Both, Levels::L1Alone] {
        planted(levels, Story::Returns, "the token's cover of reads", |rules| {
            rules.covers = |token, _| token;
        });
    }
}

#[test]
fn what_a_value_shows_is_not_bounded_by_its_stamp() {
    for levels in [Levels::Both, Levels::L1Alone] {
        planted(levels, Story::Returns, "the position after the load", |rules| {
            rules.shown = |stamp, _| {
                let (Stamp::Replayed(before) | Stamp::Flushed(before)) = stamp;
                before
            };
        });
    }
}

#[test]
fn l2_has_not_confirmed_what_a_session_was_shown() {
    planted(Levels::Both, Story::Returns, "the difference of written and shown", |rules| {
        rules.l2_serves = |claim, demand, keeps| {
            decision::l2_serves(claim, Demand { unconfirmed: Lsn::ZERO, ..demand }, keeps)
        };
    });
}

#[test]
fn a_primary_that_shows_less_than_a_replica_reads_backwards() {
    planted(Levels::L1Alone, Story::Returns, "the wait for the primary", |rules| {
        rules.primary_shows = |_, _| true;
    });
}

#[test]
fn a_watermark_from_a_replica_lets_a_session_read_backwards() {
    planted(Levels::L1Alone, Story::Returns, "a tail on the primary", |rules| {
        rules.tail_horizon = |_, _, replica| replica;
    });
}
