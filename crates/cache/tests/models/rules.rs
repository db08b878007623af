//! The rules that a model obeys: those of the crate, of which a test takes one away.

use onefold_cache::decision::{self, Claim, Demand, Freshness, Generation, LeaseId, Record, View};
use onefold_core::Lsn;
use onefold_database::Stamp;

pub(crate) struct Rules {
    pub(crate) l1_serves: fn(Claim, Demand) -> bool,
    pub(crate) l2_serves: fn(Claim, Demand, bool) -> bool,
    pub(crate) l1_admits: fn(Generation, Generation) -> bool,
    pub(crate) watermark_vouches: fn(Stamp, Lsn) -> bool,
    pub(crate) load_least: fn(Freshness) -> Lsn,
    pub(crate) flight_serves: fn(Option<Claim>, Demand, bool) -> bool,
    pub(crate) fill_is_stored: fn(Option<LeaseId>, LeaseId) -> bool,
    pub(crate) need: fn(Option<Lsn>, Lsn) -> Lsn,
    pub(crate) invalidated: fn(Record, Lsn) -> Record,
    pub(crate) heard: fn(View, Lsn) -> View,
    pub(crate) tailed: fn(View, Lsn) -> View,
    pub(crate) resynced: fn(View, Lsn) -> View,
    /// What a load on the primary, whose flush position and need are given, can vouch for. The crate takes the
    /// stamp that the database's reader noted.
    pub(crate) primary_stamp: fn(Lsn, Lsn) -> Stamp,
    /// What a load can show at most, of its stamp and of the server's position after it. The crate takes what the
    /// database's reader noted.
    pub(crate) shown: fn(Stamp, Lsn) -> Lsn,
    /// Whether the primary may read for a session, of what is unconfirmed and of what the primary shows. The crate has
    /// the database wait for it.
    pub(crate) primary_shows: fn(Lsn, Lsn) -> bool,
    /// What a session covers, of what it had covered before and of what it was shown. The crate has the database's
    /// session do it.
    pub(crate) covers: fn(Lsn, Lsn) -> Lsn,
    /// How far a tail has come, of the position up to which the primary shows every commit, of its flush position and of
    /// a replica's. The crate has the tail from the database, which reads it on the primary.
    pub(crate) tail_horizon: fn(Lsn, Lsn, Lsn) -> Lsn,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            l1_serves: decision::l1_serves,
            l2_serves: decision::l2_serves,
            l1_admits: decision::l1_admits,
            watermark_vouches: decision::watermark_vouches,
            load_least: decision::load_least,
            flight_serves: decision::flight_serves,
            fill_is_stored: decision::fill_is_stored,
            need: decision::need,
            invalidated: decision::invalidated,
            heard: decision::heard,
            tailed: decision::tailed,
            resynced: decision::resynced,
            primary_stamp: |flushed, _| Stamp::Flushed(flushed),
            shown: |_, after| after,
            primary_shows: |unconfirmed, visible| visible >= unconfirmed,
            covers: |token, shown| token.max(shown),
            tail_horizon: |shows, _, _| shows,
        }
    }
}
