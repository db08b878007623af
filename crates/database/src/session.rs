//! A session: what one client has written and been shown, over all handles of a request or job.

use crate::level::Read;
use crate::token::{Keys, Token};
use onefold_core::{Deadline, Lsn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Shared by all handles of one request or job; clones are the same session.
///
/// A session that began with a token is *tracked*: its token also comes to cover what it is shown, by the database
/// or by a cache, so that it never reads backwards. One that began without gets a token with its first write.
#[derive(Clone, Debug, Default)]
pub struct Session {
    state: Arc<Mutex<State>>,
    tracked: bool,
    deadline: Option<Deadline>,
    level: Option<Read>,
}

#[derive(Clone, Debug, Default)]
struct State {
    cluster: Uuid,
    positions: Vec<Position>,
    /// The highest position of which the caches may not have heard; zero where there is none.
    unconfirmed: Lsn,
}

/// A place in a cluster's history. LSNs compare within one timeline only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The timeline that the LSN counts on.
    pub timeline: u32,
    /// The place on it.
    pub lsn: Lsn,
}

impl Session {
    /// A session that has written and read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A session that goes on from the tokens a client sent. Those that this system has not signed are ignored,
    /// since a browser keeps sending the cookie of the system that stood here before; whoever wants to refuse
    /// them asks [`Keys::verify`].
    pub fn resume<'a>(tokens: impl IntoIterator<Item = &'a str>, keys: &Keys) -> Self {
        let mut session = Self::new();
        for token in tokens.into_iter().filter_map(|text| keys.verify(text).ok()) {
            session.cover(&token);
            session.tracked = true;
        }
        session
    }

    /// The same session, with a deadline for every call through this handle.
    #[must_use]
    pub fn with_deadline(self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The same session, with a level that stands in for the one a handler asks for.
    #[must_use]
    pub fn with_level(self, level: Read) -> Self {
        Self { level: Some(level), ..self }
    }

    /// When nobody waits for answers any more.
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// The level that overrides the handlers'.
    pub fn level(&self) -> Option<Read> {
        self.level
    }

    /// The highest position so far, to be signed and handed to the client.
    pub fn token(&self) -> Option<Token> {
        let state = self.state();
        let newest = state.positions.last()?;
        Some(Token {
            cluster: state.cluster,
            timeline: newest.timeline,
            lsn: newest.lsn,
            confirmed: state.unconfirmed == Lsn::ZERO,
        })
    }

    /// Raises the session to a token: one that it wrote, or that whoever caused its work had.
    pub fn cover(&self, token: &Token) {
        let mut state = self.state();
        state.cluster = token.cluster;
        if !token.confirmed {
            state.unconfirmed = state.unconfirmed.max(token.lsn);
        }
        raise(&mut state.positions, Position { timeline: token.timeline, lsn: token.lsn });
    }

    /// The highest LSN on the newest timeline; zero before the first token.
    pub fn lsn(&self) -> Lsn {
        self.state().positions.last().map_or(Lsn::ZERO, |newest| newest.lsn)
    }

    /// The highest position up to which the session may know of commits that are not its own, or that the caches have
    /// not confirmed; zero where there is none. A replica shows a commit before the primary does, and before any
    /// cache can have heard of it.
    pub fn unconfirmed(&self) -> Lsn {
        self.state().unconfirmed
    }

    /// Whether the session's token is to cover what it is shown.
    pub fn is_tracked(&self) -> bool {
        self.tracked
    }

    /// Covers what a read may have shown, if the session is tracked.
    pub fn cover_read(&self, seen: Position) {
        if self.tracked {
            let mut state = self.state();
            raise(&mut state.positions, seen);
            state.unconfirmed = state.unconfirmed.max(seen.lsn);
        }
    }

    pub(crate) fn positions(&self) -> Vec<Position> {
        self.state().positions.clone()
    }

    /// Puts `proven` in the place of positions that a failover left unproven.
    pub(crate) fn reissue(&self, proven: Position) {
        let mut state = self.state();
        state.positions.clear();
        state.positions.push(proven);
        state.unconfirmed = state.unconfirmed.min(proven.lsn);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the highest position of each timeline, in the timelines' order.
fn raise(positions: &mut Vec<Position>, to: Position) {
    match positions.binary_search_by_key(&to.timeline, |position| position.timeline) {
        Ok(index) => positions[index].lsn = positions[index].lsn.max(to.lsn),
        Err(index) => positions.insert(index, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(timeline: u32, lsn: u64, confirmed: bool) -> Token {
        Token { cluster: Uuid::from_u128(1), timeline, lsn: Lsn(lsn), confirmed }
    }

    #[test]
    fn the_highest_token_counts() {
        let session = Session::new();
        session.cover(&token(1, 50, true));
        session.clone().cover(&token(1, 40, true));
        assert_eq!(session.token(), Some(token(1, 50, true)));
        session.cover(&token(2, 45, true));
        assert_eq!(session.token(), Some(token(2, 45, true)));
        assert_eq!(session.positions().len(), 2, "the older timeline's position is still to be proven");
    }

    #[test]
    fn one_unconfirmed_write_makes_the_token_unconfirmed() {
        let session = Session::new();
        session.cover(&token(1, 50, false));
        session.cover(&token(1, 60, true));
        assert_eq!(session.token(), Some(token(1, 60, false)));
        assert_eq!(session.unconfirmed(), Lsn(50), "the later one is confirmed");
    }

    #[test]
    fn a_tracked_session_covers_what_it_was_shown_and_its_token_vouches_for_no_cache() {
        let keys = Keys::new(Uuid::from_u128(1), [1; 32]);
        let session = Session::resume([keys.sign(&token(1, 50, true)).as_str()], &keys);
        assert_eq!(session.unconfirmed(), Lsn::ZERO);
        session.clone().cover_read(Position { timeline: 1, lsn: Lsn(40) });
        assert_eq!((session.token(), session.unconfirmed()), (Some(token(1, 50, false)), Lsn(40)));
        session.cover_read(Position { timeline: 1, lsn: Lsn(70) });
        assert_eq!((session.token(), session.unconfirmed()), (Some(token(1, 70, false)), Lsn(70)));
        let untracked = Session::new();
        untracked.cover_read(Position { timeline: 1, lsn: Lsn(70) });
        assert_eq!((untracked.token(), untracked.unconfirmed()), (None, Lsn::ZERO));
    }

    #[test]
    fn a_handle_with_another_level_is_the_same_session() {
        let session = Session::new();
        session.clone().with_level(Read::Strong).cover(&token(1, 50, true));
        assert_eq!(session.token(), Some(token(1, 50, true)));
    }

    #[test]
    fn forged_tokens_are_ignored() {
        let keys = Keys::new(Uuid::from_u128(1), [1; 32]);
        let genuine = keys.sign(&token(1, 50, true));
        let forged = Keys::new(Uuid::from_u128(1), [2; 32]).sign(&token(1, 99, true));
        let session = Session::resume([genuine.as_str(), forged.as_str(), "nonsense"], &keys);
        assert_eq!(session.token(), Some(token(1, 50, true)));
        assert!(session.is_tracked() && !Session::resume(["nonsense"], &keys).is_tracked());
    }
}
