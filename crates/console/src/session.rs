//! Sessions of browsers: made at login, kept in memory, bounded in number, idle time and age.

use crate::access::{Access, Actor};
use onefold_core::{Clock, Secret};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

const ID_BYTES: usize = 32;
const CSRF_BYTES: usize = 32;

/// All sessions. The one that was unused for longest goes when another does not fit.
#[derive(Debug)]
pub(crate) struct Sessions {
    clock: Clock,
    idle_max: Duration,
    age_max: Duration,
    count_max: usize,
    held: Mutex<HashMap<String, Held>>,
}

#[derive(Debug)]
struct Held {
    session: Session,
    used: Instant,
    /// Ends the session's event streams when it goes.
    _ended: DropGuard,
}

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) actor: Actor,
    /// What changes must carry in `onefold-csrf`.
    pub(crate) csrf: Secret,
    pub(crate) expires: Instant,
    pub(crate) ended: CancellationToken,
}

impl Sessions {
    pub(crate) fn new(idle_max: Duration, age_max: Duration, count_max: usize, clock: Clock) -> Self {
        Self { clock, idle_max, age_max, count_max, held: Mutex::default() }
    }

    /// Starts a session and answers its id, for the cookie.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    pub(crate) fn start(&self, name: String, access: Access) -> Result<(Secret, Session), getrandom::Error> {
        let now = self.clock.now();
        let (id, csrf) = (Secret::random(ID_BYTES)?, Secret::random(CSRF_BYTES)?);
        let ended = CancellationToken::new();
        let session = Session {
            actor: Actor { name, access },
            csrf,
            expires: now + self.age_max,
            ended: ended.clone(),
        };
        let held = Held { session: session.clone(), used: now, _ended: ended.drop_guard() };
        self.lock(|table| {
            table.retain(|_, held| self.is_alive(held, now));
            while table.len() >= self.count_max {
                let Some(oldest) = table.iter().min_by_key(|(_, held)| held.used).map(|(id, _)| id.clone())
                else {
                    break;
                };
                table.remove(&oldest);
            }
            table.insert(id.expose().to_owned(), held);
        });
        Ok((id, session))
    }

    /// The session of this id, which counts as used now.
    pub(crate) fn get(&self, id: &str) -> Option<Session> {
        let now = self.clock.now();
        self.lock(|table| {
            let held = table.get_mut(id)?;
            if !self.is_alive(held, now) {
                table.remove(id);
                return None;
            }
            held.used = now;
            Some(held.session.clone())
        })
    }

    /// Ends a session, and its event streams with it.
    pub(crate) fn end(&self, id: &str) {
        self.lock(|table| table.remove(id));
    }

    fn is_alive(&self, held: &Held, now: Instant) -> bool {
        now < held.session.expires && now.saturating_duration_since(held.used) < self.idle_max
    }

    fn lock<T>(&self, body: impl FnOnce(&mut HashMap<String, Held>) -> T) -> T {
        body(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(10);
    const AGE: Duration = Duration::from_secs(25);

    fn start(sessions: &Sessions) -> (Secret, Session) {
        sessions.start("ada".into(), Access::View).unwrap()
    }

    #[test]
    fn a_session_ends_when_idle_and_at_its_age_however_busy() {
        let clock = Clock::manual();
        let sessions = Sessions::new(IDLE, AGE, 8, clock.clone());
        let (idle, _) = start(&sessions);
        let (busy, _) = start(&sessions);
        for _ in 0..2 {
            clock.advance(IDLE / 2);
            assert!(sessions.get(busy.expose()).is_some());
        }
        assert!(sessions.get(idle.expose()).is_none());
        for _ in 0..2 {
            clock.advance(IDLE / 2);
            assert!(sessions.get(busy.expose()).is_some());
        }
        clock.advance(IDLE / 2);
        assert!(sessions.get(busy.expose()).is_none());
    }

    #[test]
    fn one_too_many_ends_the_least_used_and_its_streams() {
        let clock = Clock::manual();
        let sessions = Sessions::new(IDLE, AGE, 2, clock.clone());
        let (first, first_session) = start(&sessions);
        clock.advance(Duration::from_secs(1));
        let (second, second_session) = start(&sessions);
        clock.advance(Duration::from_secs(1));
        sessions.get(first.expose()).unwrap();
        let (third, _) = start(&sessions);
        assert!(sessions.get(first.expose()).is_some() && sessions.get(third.expose()).is_some());
        assert!(sessions.get(second.expose()).is_none());
        assert!(second_session.ended.is_cancelled() && !first_session.ended.is_cancelled());
        sessions.end(first.expose());
        assert!(first_session.ended.is_cancelled());
    }
}
