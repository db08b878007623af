//! A session: what one client has written and been shown, over all handles of a request or job.

use crate::level::Read;
use crate::token::{Keys, Token};
use onefold_core::{Deadline, Lsn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Shared by all handles of one request or job; clones are the same session.
///
/// A session that began with a token is *tracked*: its token also comes to cover what it reads, so that it never
/// reads backwards. One that began without gets a token with its first write.
#[derive(Clone, Debug, Default)]
pub struct Session {
    state: Arc<Mutex<State>>,
    deadline: Option<Deadline>,
    level: Option<Read>,
}

#[derive(Clone, Debug, Default)]
struct State {
    cluster: Uuid,
    positions: Vec<Position>,
    confirmed: bool,
    tracked: bool,
}

/// A place in a cluster's history. LSNs compare within one timeline only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) timeline: u32,
    pub(crate) lsn: Lsn,
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
        let session = Self::new();
        for token in tokens.into_iter().filter_map(|text| keys.verify(text).ok()) {
            session.cover(&token);
            session.state().tracked = true;
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
            confirmed: state.confirmed,
        })
    }

    /// Raises the session to a token: one that it wrote, or that whoever caused its work had.
    pub fn cover(&self, token: &Token) {
        let mut state = self.state();
        state.cluster = token.cluster;
        // One unconfirmed write keeps the session off the caches until the tail has passed its whole position.
        state.confirmed = token.confirmed && (state.confirmed || state.positions.is_empty());
        raise(&mut state.positions, Position { timeline: token.timeline, lsn: token.lsn });
    }

    /// The highest LSN on the newest timeline; zero before the first token.
    pub fn lsn(&self) -> Lsn {
        self.state().positions.last().map_or(Lsn::ZERO, |newest| newest.lsn)
    }

    /// Whether every cache has confirmed the session's writes, as far as is known.
    pub fn is_confirmed(&self) -> bool {
        let state = self.state();
        state.confirmed || state.positions.is_empty()
    }

    /// Notes that every invalidation up to `watermark` has been applied in this node.
    pub fn confirm_through(&self, watermark: Lsn) {
        let mut state = self.state();
        if state.positions.last().is_some_and(|newest| newest.lsn <= watermark) {
            state.confirmed = true;
        }
    }

    /// Whether the session's token is to cover its reads.
    pub(crate) fn is_tracked(&self) -> bool {
        self.state().tracked
    }

    pub(crate) fn positions(&self) -> Vec<Position> {
        self.state().positions.clone()
    }

    /// Covers what a read may have shown. It changes nothing about which writes the caches have confirmed.
    pub(crate) fn cover_read(&self, seen: Position) {
        raise(&mut self.state().positions, seen);
    }

    /// Puts `proven` in the place of positions that a failover left unproven.
    pub(crate) fn reissue(&self, proven: Position) {
        let mut state = self.state();
        state.positions.clear();
        state.positions.push(proven);
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
    fn one_unconfirmed_write_keeps_the_session_unconfirmed_until_the_watermark() {
        let session = Session::new();
        assert!(session.is_confirmed(), "a session without writes has nothing to confirm");
        session.cover(&token(1, 50, false));
        session.cover(&token(1, 60, true));
        assert!(!session.is_confirmed());
        session.confirm_through(Lsn(59));
        assert!(!session.is_confirmed());
        session.confirm_through(Lsn(60));
        assert!(session.is_confirmed());
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
