//! What is asked where, and whether it may be asked twice.

use super::auth::{AddRole, AddUser, Authenticate, Authenticated, EnableAuth, GrantPermission, GrantRole};
use super::cluster::{AskStatus, ListMembers, MemberList, StatusAnswer};
use super::kv::{TxnAnswer, TxnRequest};
use super::lease::{AskTimeToLive, Grant, Granted, KeepAlive, KeptAlive, Revoke, TimeToLive};
use prost::Message;

/// A request, with what answers it.
pub(crate) trait Rpc: Message {
    type Answer: Message + Default;
    /// Where it is asked.
    const PATH: &'static str;
    /// What a second try of a request would do whose answer was lost.
    const REPEAT: Repeat;
}

/// Whether a request may be asked twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or the same again.
    Harmless,
    /// It may be done twice.
    Unsafe,
}

/// Who answered, and when.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(uint64, tag = "1")]
    pub(crate) cluster_id: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) member_id: u64,
    #[prost(int64, tag = "3")]
    pub(crate) revision: i64,
}

macro_rules! rpc {
    ($request:ident -> $answer:ident, $path:literal, $repeat:ident) => {
        impl Rpc for $request {
            type Answer = $answer;
            const PATH: &'static str = concat!("/etcdserverpb.", $path);
            const REPEAT: Repeat = Repeat::$repeat;
        }
    };
}

rpc!(TxnRequest -> TxnAnswer, "KV/Txn", Unsafe);
rpc!(Grant -> Granted, "Lease/LeaseGrant", Harmless);
rpc!(Revoke -> Done, "Lease/LeaseRevoke", Harmless);
rpc!(KeepAlive -> KeptAlive, "Lease/LeaseKeepAlive", Harmless);
rpc!(AskTimeToLive -> TimeToLive, "Lease/LeaseTimeToLive", Harmless);
rpc!(AskStatus -> StatusAnswer, "Maintenance/Status", Harmless);
rpc!(ListMembers -> MemberList, "Cluster/MemberList", Harmless);
rpc!(Authenticate -> Authenticated, "Auth/Authenticate", Harmless);
rpc!(AddUser -> Done, "Auth/UserAdd", Harmless);
rpc!(GrantRole -> Done, "Auth/UserGrantRole", Harmless);
rpc!(AddRole -> Done, "Auth/RoleAdd", Harmless);
rpc!(GrantPermission -> Done, "Auth/RoleGrantPermission", Harmless);
rpc!(EnableAuth -> Done, "Auth/AuthEnable", Harmless);

/// An answer that says no more than that it is done.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Done {}
