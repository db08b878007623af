//! What the other model leaves out: two keys of one bucket, a group flush (a token covers commits that are still
//! invisible, and a replica shows one of them), the tail, and a node that restarts. Entries live in L1 alone, and only
//! key B is read.

mod setting;
mod world;

use crate::explore::{Outcome, explore};
use crate::rules::Rules;
use onefold_cache::decision::{Demand, View, stamp_serves};
use onefold_core::Lsn;
use onefold_database::Stamp;
use setting::{Session, Setting};
use world::{B, READERS};

const WRITER_READS: [Session; READERS] = [Session::Fresh, Session::Wrote(1), Session::Absent];
/// Somebody fills the node; a session is shown something elsewhere, and comes here.
const RETURNS: [Session; READERS] = [Session::Fresh, Session::Elsewhere, Session::Of(1)];

fn run(gaps: u8, readers: [Session; READERS], rules: impl Fn() -> Rules) -> Outcome {
    let mut states = 0;
    for keys in [[0, B], [B, B]] {
        match explore(&Setting { keys, readers, gaps, rules: rules() }) {
            Outcome::Holds { states: more } => states += more,
            violated @ Outcome::Violated { .. } => return violated,
        }
    }
    Outcome::Holds { states }
}

#[test]
fn tokens_that_cover_invisible_commits_are_honoured() {
    run(0, WRITER_READS, Rules::default).holds();
}

#[test]
fn a_node_that_restarts_is_no_exception() {
    run(1, WRITER_READS, Rules::default).holds();
}

#[test]
fn a_session_that_was_shown_an_invisible_commit_never_reads_backwards() {
    run(0, RETURNS, Rules::default).holds();
}

#[track_caller]
fn planted(gaps: u8, readers: [Session; READERS], rule: &str, plant: fn(&mut Rules)) {
    let rules = || {
        let mut rules = Rules::default();
        plant(&mut rules);
        rules
    };
    run(gaps, readers, rules).is_violated(rule);
}

#[test]
fn a_primary_stamp_must_not_serve_its_own_position() {
    planted(0, WRITER_READS, "the strictness of a primary's stamp", |rules| {
        rules.l1_serves = |claim, Demand { token, watermark, .. }| {
            let Stamp::Flushed(at) = claim.stamp else {
                return stamp_serves(claim.stamp, token) || watermark >= token;
            };
            at >= token || watermark >= token
        };
    });
}

#[test]
fn a_watermark_must_not_come_from_the_bus() {
    planted(0, WRITER_READS, "a watermark by the tail alone", |rules| {
        rules.heard =
            |view, at| View { watermark: view.watermark.max(at), ..onefold_cache::decision::heard(view, at) };
    });
}

#[test]
fn a_watermark_must_not_come_from_a_replica() {
    planted(0, WRITER_READS, "a tail on the primary", |rules| rules.tail_horizon = |_, _, replica| replica);
}

#[test]
fn without_the_floor_a_lagging_replica_fills_l1() {
    planted(0, WRITER_READS, "the floor", |rules| rules.load_least = |freshness| freshness.token);
}

#[test]
fn without_the_generation_an_old_copy_enters_l1() {
    planted(0, WRITER_READS, "the generation", |rules| rules.l1_admits = |_, _| true);
}

#[test]
fn without_the_floor_at_the_start_a_lagging_replica_fills_l1() {
    planted(1, WRITER_READS, "the floor at the start", |rules| {
        rules.resynced =
            |view, flushed| View { floor: view.floor, ..onefold_cache::decision::resynced(view, flushed) };
    });
}

#[test]
fn a_flush_position_says_nothing_of_what_a_replica_showed() {
    planted(0, RETURNS, "the difference of written and shown at a primary's stamp", |rules| {
        rules.l1_serves =
            |claim, demand| stamp_serves(claim.stamp, demand.token) || demand.watermark >= demand.token;
    });
}

#[test]
fn a_watermark_for_tokens_alone_does_not_vouch_for_what_a_replica_showed() {
    planted(0, RETURNS, "a watermark that waits for every record below it", |rules| {
        rules.tail_horizon = |_, flushed, _| Lsn(flushed.0.saturating_sub(1));
    });
}

#[test]
fn a_primary_that_shows_less_than_a_replica_reads_backwards() {
    planted(0, RETURNS, "the wait for the primary", |rules| rules.primary_shows = |_, _| true);
}
