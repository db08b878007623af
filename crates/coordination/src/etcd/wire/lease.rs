//! Leases of etcd's own.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Grant {
    #[prost(int64, tag = "1")]
    pub(crate) ttl_seconds: i64,
    #[prost(int64, tag = "2")]
    pub(crate) id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Granted {
    #[prost(int64, tag = "2")]
    pub(crate) id: i64,
    #[prost(int64, tag = "3")]
    pub(crate) ttl_seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Revoke {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeepAlive {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
}

/// The remaining time is zero where the lease has ended.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeptAlive {
    #[prost(int64, tag = "3")]
    pub(crate) ttl_seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AskTimeToLive {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
}

/// The remaining time is -1 where the lease has ended.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeToLive {
    #[prost(int64, tag = "3")]
    pub(crate) ttl_seconds: i64,
    #[prost(int64, tag = "4")]
    pub(crate) granted_seconds: i64,
}
