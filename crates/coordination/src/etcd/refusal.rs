//! What etcd's refusals mean, and what to do about them.

use super::channel::Refusal;
use super::client::CallError;
use crate::error::Error;

impl Refusal {
    const INVALID: u32 = 3;
    const NOT_FOUND: u32 = 5;
    const DENIED: u32 = 7;
    const EXHAUSTED: u32 = 8;
    const PRECONDITION: u32 = 9;
    pub(super) const UNIMPLEMENTED: u32 = 12;
    const UNAVAILABLE: u32 = 14;
    const UNAUTHENTICATED: u32 = 16;

    /// Whether the message says so: several causes share a code.
    pub(super) fn says(&self, text: &str) -> bool {
        self.message.contains(text)
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.code == Self::NOT_FOUND
    }

    /// Whether the token has ended: it is too old, its member has forgotten it, or users have changed since.
    pub(super) fn wants_new_token(&self) -> bool {
        self.code == Self::UNAUTHENTICATED
            || self.code == Self::INVALID
                && (self.says("revision in header is old") || self.says("user name is empty"))
    }

    /// Whether the same request may pass later, or elsewhere.
    pub(super) fn is_for_later(&self) -> bool {
        self.code == Self::UNAVAILABLE || self.code == Self::EXHAUSTED && self.says("too many requests")
    }

    /// Whether what was asked for may be done all the same: a member that found no leader has proposed nothing.
    pub(super) fn may_be_done(&self) -> bool {
        self.code == Self::UNAVAILABLE && !self.says("no leader")
    }

    /// What to do about it, where somebody can.
    fn fix(&self) -> Option<&'static str> {
        Some(match self.code {
            Self::INVALID if self.says("authentication failed") => {
                "check coordination.user and coordination.password"
            }
            Self::INVALID if self.says("user name is empty") => {
                "it wants a user: name coordination.user and coordination.password"
            }
            Self::INVALID if self.says("too many operations") => {
                "raise --max-txn-ops of etcd, or change less at once"
            }
            Self::DENIED => {
                "let coordination.user read and write all keys that begin with coordination.prefix"
            }
            Self::EXHAUSTED if self.says("database space") => {
                "compact and defragment etcd, raise --quota-backend-bytes, then `etcdctl alarm disarm`"
            }
            Self::PRECONDITION if self.says("authentication is not enabled") => {
                "enable it with `etcdctl auth enable`"
            }
            Self::UNIMPLEMENTED => "name etcd 3.4 or newer in coordination.endpoints",
            _ => return None,
        })
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Away(reason) => Self::Away(reason),
            CallError::Unknown(reason) => Self::Unknown(reason),
            CallError::Refused(refusal) => {
                let message = refusal.message.trim_start_matches("etcdserver: ");
                match refusal.fix() {
                    Some(fix) => Self::Engine(format!("etcd: {message}; {fix}")),
                    None => Self::Engine(format!("etcd: {message} (gRPC status {})", refusal.code)),
                }
            }
        }
    }
}
