//! The messages of etcd's gRPC that this engine speaks, as its `rpc.proto` numbers them.
//!
//! By hand: `etcd-client` wants `protoc` at build time, and brings tonic and a second tower with it; these are a page.

use bytes::Bytes;
use prost::{Message, Oneof};

/// A request, with what answers it.
pub(super) trait Rpc: Message {
    type Answer: Message + Default;
    /// Where it is asked.
    const PATH: &'static str;
    /// What a second try of a request would do whose answer was lost.
    const REPEAT: Repeat;
}

/// Whether a request may be asked twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or the same again.
    Harmless,
    /// It may be done twice.
    Unsafe,
}

/// Who answered, and when.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    #[prost(uint64, tag = "1")]
    pub(super) cluster_id: u64,
    #[prost(uint64, tag = "2")]
    pub(super) member_id: u64,
    #[prost(int64, tag = "3")]
    pub(super) revision: i64,
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

/// Where a watch is asked for.
pub(super) const WATCH: &str = "/etcdserverpb.Watch/Watch";

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(int64, tag = "2")]
    pub(super) created: i64,
    #[prost(int64, tag = "3")]
    pub(super) modified: i64,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) value: Bytes,
    #[prost(int64, tag = "6")]
    pub(super) lease: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Range {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) end: Bytes,
    #[prost(int64, tag = "3")]
    pub(super) limit: i64,
    #[prost(enumeration = "Order", tag = "5")]
    pub(super) order: i32,
    #[prost(enumeration = "Target", tag = "6")]
    pub(super) by: i32,
    #[prost(bool, tag = "8")]
    pub(super) keys_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Order {
    Unsorted = 0,
    Descending = 2,
}

/// What is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Target {
    Key = 0,
    Modified = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Ranged {
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Put {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
    #[prost(int64, tag = "3")]
    pub(super) lease: i64,
    #[prost(bool, tag = "6")]
    pub(super) keep_lease: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeleteRange {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Step {
    #[prost(oneof = "StepKind", tags = "1, 2, 3")]
    pub(super) kind: Option<StepKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum StepKind {
    #[prost(message, tag = "1")]
    Range(Range),
    #[prost(message, tag = "2")]
    Put(Put),
    #[prost(message, tag = "3")]
    Delete(DeleteRange),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StepAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) ranged: Option<Ranged>,
}

/// Holds where the key's revision is this one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Condition {
    #[prost(enumeration = "ConditionTarget", tag = "2")]
    pub(super) target: i32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) key: Bytes,
    #[prost(oneof = "Revision", tags = "5, 6")]
    pub(super) revision: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ConditionTarget {
    Version = 0,
    Created = 1,
    Modified = 2,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Revision {
    #[prost(int64, tag = "5")]
    Created(i64),
    #[prost(int64, tag = "6")]
    Modified(i64),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) conditions: Vec<Condition>,
    #[prost(message, repeated, tag = "2")]
    pub(super) then: Vec<Step>,
    #[prost(message, repeated, tag = "3")]
    pub(super) otherwise: Vec<Step>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<Header>,
    #[prost(bool, tag = "2")]
    pub(super) held: bool,
    #[prost(message, repeated, tag = "3")]
    pub(super) steps: Vec<StepAnswer>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) create: Option<WatchCreate>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchCreate {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) end: Bytes,
    #[prost(int64, tag = "3")]
    pub(super) from: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Watched {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<Header>,
    #[prost(bool, tag = "3")]
    pub(super) created: bool,
    #[prost(bool, tag = "4")]
    pub(super) canceled: bool,
    #[prost(int64, tag = "5")]
    pub(super) compacted: i64,
    #[prost(string, tag = "6")]
    pub(super) reason: String,
    #[prost(message, repeated, tag = "11")]
    pub(super) events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    /// 0 is a put, 1 a deletion.
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Grant {
    #[prost(int64, tag = "1")]
    pub(super) ttl_seconds: i64,
    #[prost(int64, tag = "2")]
    pub(super) id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Granted {
    #[prost(int64, tag = "2")]
    pub(super) id: i64,
    #[prost(int64, tag = "3")]
    pub(super) ttl_seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Revoke {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeepAlive {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
}

/// The remaining time is zero where the lease has ended.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KeptAlive {
    #[prost(int64, tag = "3")]
    pub(super) ttl_seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AskTimeToLive {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
}

/// The remaining time is -1 where the lease has ended.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeToLive {
    #[prost(int64, tag = "3")]
    pub(super) ttl_seconds: i64,
    #[prost(int64, tag = "4")]
    pub(super) granted_seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AskStatus {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<Header>,
    #[prost(string, tag = "2")]
    pub(super) version: String,
    #[prost(int64, tag = "3")]
    pub(super) db_bytes: i64,
    #[prost(uint64, tag = "4")]
    pub(super) leader: u64,
    #[prost(string, repeated, tag = "8")]
    pub(super) errors: Vec<String>,
    #[prost(int64, tag = "9")]
    pub(super) db_bytes_used: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListMembers {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MemberList {
    #[prost(message, repeated, tag = "2")]
    pub(super) members: Vec<ClusterMember>,
}

/// It is counted; nothing of it is read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ClusterMember {}

/// It holds a password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct Authenticate {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) password: String,
}

/// It holds a token.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct Authenticated {
    #[prost(string, tag = "2")]
    pub(super) token: String,
}

/// It holds a password.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct AddUser {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) password: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GrantRole {
    #[prost(string, tag = "1")]
    pub(super) user: String,
    #[prost(string, tag = "2")]
    pub(super) role: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AddRole {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GrantPermission {
    #[prost(string, tag = "1")]
    pub(super) role: String,
    #[prost(message, optional, tag = "2")]
    pub(super) permission: Option<Permission>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Permission {
    /// 2 is to read and to write.
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) end: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnableAuth {}

/// An answer that says no more than that it is done.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Done {}

macro_rules! hidden {
    ($($message:ident),*) => {$(
        impl std::fmt::Debug for $message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($message), "(***)"))
            }
        }
    )*};
}

hidden!(Authenticate, Authenticated, AddUser);

impl From<StepKind> for Step {
    fn from(kind: StepKind) -> Self {
        Self { kind: Some(kind) }
    }
}
