//! The tokens: one for each access, in a file that only its owner reads, and the one-time tickets made of them.

mod file;
mod ticket;

use crate::access::Access;
use hmac::{Hmac, KeyInit as _, Mac as _};
use onefold_core::Secret;
use sha2::Sha256;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(crate) use ticket::Ticket;

/// The console's tokens. A token opens the API for programs (`authorization: Bearer`) and starts a session; a
/// [ticket](Tokens::ticket) starts one session, once.
#[derive(Clone, Debug)]
pub struct Tokens {
    view: Secret,
    operate: Secret,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// The file cannot be read or made.
    #[error("{1} {0}")]
    File(PathBuf, &'static str, #[source] io::Error),
    /// Others may read the file.
    #[error("{0} has mode {1:o}, so others can read the console's tokens; remove it, a new one is made")]
    Exposed(PathBuf, u32),
    /// It does not hold what it should.
    #[error(
        "{0} does not hold `view` and `operate`, of 32 characters or more, and unlike; remove it, a new one is made"
    )]
    Malformed(PathBuf),
    /// The system gave no randomness.
    #[error("make a token")]
    Random(#[source] getrandom::Error),
}

impl Tokens {
    /// How long a ticket is good for: a day, as a session.
    pub const TICKET_LIFE: Duration = Duration::from_hours(24);

    /// Reads the file, or makes it with mode 0600 and new tokens. Two processes that make it at once agree on one.
    ///
    /// # Errors
    /// [`TokensError`] where the file cannot be read or made, is open to others, or holds something else.
    pub fn open(path: &Path) -> Result<Self, TokensError> {
        file::open(path)
    }

    /// The token of this access.
    pub fn get(&self, access: Access) -> &Secret {
        match access {
            Access::View => &self.view,
            Access::Operate => &self.operate,
        }
    }

    /// What a presented token permits. The comparison takes the same time whichever byte differs.
    pub fn access(&self, presented: &str) -> Option<Access> {
        let operate = is_same(&self.operate, presented);
        let view = is_same(&self.view, presented);
        match (operate, view) {
            (true, _) => Some(Access::Operate),
            (_, true) => Some(Access::View),
            _ => None,
        }
    }

    /// A ticket, for a link that is printed: it starts one session, within [`Tokens::TICKET_LIFE`] of `now`.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    pub fn ticket(&self, access: Access, now: SystemTime) -> Result<Secret, TokensError> {
        ticket::issue(self.get(access), access, now + Self::TICKET_LIFE)
    }

    /// The ticket that `presented` is, if we made it. Whether it is late or used is the caller's to see.
    pub(crate) fn redeem(&self, presented: &str) -> Option<Ticket> {
        ticket::read(presented, |access| self.get(access))
    }
}

/// Both sides go through a keyed hash first, so that nothing about the secret's bytes shows in the time taken.
fn is_same(secret: &Secret, presented: &str) -> bool {
    let tag = mac(secret, presented.as_bytes()).finalize().into_bytes();
    mac(secret, secret.expose().as_bytes()).verify_slice(&tag).is_ok()
}

fn mac(key: &Secret, message: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("any key length");
    mac.update(message);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens { view: Secret::random(32).unwrap(), operate: Secret::random(32).unwrap() }
    }

    #[test]
    fn each_token_gives_its_own_access_and_nothing_else_gives_any() {
        let tokens = tokens();
        assert_eq!(tokens.access(tokens.view.expose()), Some(Access::View));
        assert_eq!(tokens.access(tokens.operate.expose()), Some(Access::Operate));
        for wrong in ["", "x", &tokens.view.expose()[1..], &format!("{} ", tokens.view.expose())] {
            assert_eq!(tokens.access(wrong), None);
        }
    }

    #[test]
    fn a_ticket_is_known_by_the_console_that_has_its_token_only() {
        let (ours, theirs) = (tokens(), tokens());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let ticket = ours.ticket(Access::View, now).unwrap();
        let read = ours.redeem(ticket.expose()).unwrap();
        assert_eq!((read.access, read.expires), (Access::View, now + Tokens::TICKET_LIFE));
        assert_eq!(theirs.redeem(ticket.expose()), None);
        let raised = ticket.expose().replacen(".view.", ".operate.", 1);
        assert_eq!(ours.redeem(&raised), None);
        let longer = ticket.expose().replacen("87400", "97400", 1);
        assert_ne!(longer, ticket.expose());
        assert_eq!(ours.redeem(&longer), None);
    }
}
