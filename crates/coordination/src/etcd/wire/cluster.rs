//! Members, and what they say of themselves.

use super::rpc::Header;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AskStatus {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusAnswer {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Header>,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(int64, tag = "3")]
    pub(crate) db_bytes: i64,
    #[prost(uint64, tag = "4")]
    pub(crate) leader: u64,
    #[prost(string, repeated, tag = "8")]
    pub(crate) errors: Vec<String>,
    #[prost(int64, tag = "9")]
    pub(crate) db_bytes_used: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListMembers {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MemberList {
    #[prost(message, repeated, tag = "2")]
    pub(crate) members: Vec<ClusterMember>,
}

/// It is counted; nothing of it is read.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClusterMember {}
