//! How etcd is, for a person: each member asked by itself, and all of them together.

use super::Etcd;
use super::client::{CallError, Client};
use super::wire::{AskStatus, ListMembers, StatusAnswer};
use super::{clocks, step};
use crate::config::Config;
use crate::error::Error;
use onefold_core::TaskGroup;
use onefold_core::topology::Fault;
use std::time::Duration;

/// What was found.
#[derive(Clone, Debug)]
pub struct Health {
    /// The members that the configuration names.
    pub members: Vec<MemberHealth>,
    /// How many members the cluster has; none where nobody could be asked.
    pub members_count: Option<usize>,
    /// How long a read took that a majority confirmed, or why there was none.
    pub quorum: Result<Duration, String>,
    /// Whether it asks everybody who they are; none where that could not be told.
    pub has_users: Option<bool>,
}

/// One member.
#[derive(Clone, Debug)]
pub struct MemberHealth {
    /// Its address.
    pub address: String,
    /// What it says of itself, or why it does not.
    pub answer: Result<MemberAnswer, String>,
    /// By how much its clock and this machine's are apart at least, to the second; none where that could not be told.
    pub clock_apart: Option<Duration>,
}

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAnswer {
    /// As in `3.4.23`.
    pub version: String,
    /// Whether it leads.
    pub leads: bool,
    /// Whether it knows a leader.
    pub has_leader: bool,
    /// What its file takes, in bytes.
    pub db_bytes: u64,
    /// What of that is in use, in bytes: the rest comes back by a defragmentation.
    pub db_bytes_used: u64,
    /// What it complains of, as in `memberID:… alarm:NOSPACE`.
    pub alarms: Vec<String>,
}

/// Asks the etcd that the configuration names.
///
/// # Errors
/// Where the configuration cannot be used.
pub async fn health(config: &Config, etcd: &Etcd) -> Result<Health, Fault> {
    let tasks = TaskGroup::new();
    let asking = config.endpoints.iter().map(|endpoint| {
        let alone = Config { endpoints: vec![endpoint.clone()], ..config.clone() };
        let tasks = tasks.clone();
        async move {
            let client = Client::new(&alone, tasks)?;
            let answer = client.call(&AskStatus {}).await.map_err(reason).map(MemberAnswer::from);
            let clock_apart = clocks::apart(endpoint, client.trust(), &etcd.clock).await;
            client.close();
            Ok(MemberHealth { address: endpoint.to_string(), answer, clock_apart })
        }
    });
    let members = futures_util::future::join_all(asking).await.into_iter().collect::<Result<_, Fault>>()?;
    let asked = etcd.clock.now();
    let quorum = etcd.read(vec![step::get(etcd.keys.head())]).await;
    let quorum = quorum.map(|_| etcd.clock.now() - asked).map_err(|error| error.to_string());
    let listed = etcd.client.call(&ListMembers {}).await;
    let has_users = quorum.is_ok().then(|| etcd.client.has_token());
    Ok(Health { members, members_count: listed.ok().map(|list| list.members.len()), quorum, has_users })
}

fn reason(error: CallError) -> String {
    Error::from(error).to_string()
}

impl From<StatusAnswer> for MemberAnswer {
    fn from(status: StatusAnswer) -> Self {
        Self {
            leads: status.is_of_leader(),
            has_leader: status.leader != 0,
            db_bytes: u64::try_from(status.db_bytes).unwrap_or(0),
            db_bytes_used: u64::try_from(status.db_bytes_used).unwrap_or(0),
            version: status.version,
            alarms: status.errors,
        }
    }
}
