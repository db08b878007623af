//! The messages of etcd's gRPC that this engine speaks, as its `rpc.proto` numbers them.
//!
//! By hand: `etcd-client` wants `protoc` at build time, and brings tonic and a second tower with it; these are a page.

mod auth;
mod cluster;
mod kv;
mod lease;
mod rpc;
mod watch;

pub(super) use auth::{
    AddRole, AddUser, Authenticate, Authenticated, EnableAuth, GrantPermission, GrantRole, Permission,
};
pub(super) use cluster::{AskStatus, ListMembers, StatusAnswer};
pub(super) use kv::*;
pub(super) use lease::{AskTimeToLive, Grant, KeepAlive, Revoke};
pub(super) use rpc::{Header, Repeat, Rpc};
pub(super) use watch::{Event, WATCH, WatchCreate, WatchRequest, Watched};
