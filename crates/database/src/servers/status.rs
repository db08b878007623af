//! The servers as `status` and `doctor` show them.

use crate::error::Error;
use crate::servers::{Primary, Role, Servers};
use onefold_core::{Lsn, NodeName, Zone};
use serde::Serialize;
use std::time::Duration;

/// How soon a refusal is noticed while a node starts.
const REFUSED_EVERY: Duration = Duration::from_millis(50);

/// One server, as this node sees it.
#[derive(Clone, Debug, Serialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: NodeName,
    /// Host and port.
    pub address: String,
    /// What it last said it was.
    pub role: ServerRole,
    /// How connections to it are protected, as `sslmode` says it.
    pub sslmode: &'static str,
    /// Why it does not answer, or is not used.
    pub trouble: Option<String>,
    /// Where it stands.
    pub zone: Option<Zone>,
    /// The timeline it is on.
    pub timeline: u32,
    /// What a replica has replayed, or the primary has flushed.
    pub lsn: Lsn,
    /// How stale a read may be there at most; none where that is not known.
    pub lag: Option<Duration>,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerRole {
    /// It takes writes.
    Primary,
    /// It follows the primary.
    Replica,
    /// It does not answer.
    Unreachable,
    /// It belongs to another cluster, and is not used.
    Stranger,
}

impl Servers {
    /// Why there is no primary, as far as the servers' silence tells.
    pub(crate) fn without_primary(&self) -> Error {
        let silent = self.all().iter().filter_map(|server| Some((&server.address, server.trouble()?)));
        let silent: Vec<_> = silent.collect();
        if silent.is_empty() {
            return Error::Unavailable("primary");
        }
        let told: Vec<String> =
            silent.iter().map(|(address, trouble)| format!("{address}: {}", trouble.why)).collect();
        let told = told.join("; ");
        // One that is merely away may be the primary.
        if silent.len() == self.all().len() && silent.iter().all(|(_, trouble)| trouble.is_refusal) {
            Error::Refused(told)
        } else {
            Error::NoPrimary(told)
        }
    }

    /// Returns once all servers refuse us: waiting changes nothing then.
    pub(crate) async fn refused(&self) -> Error {
        loop {
            tokio::time::sleep(REFUSED_EVERY).await;
            if let error @ Error::Refused(_) = self.without_primary() {
                return error;
            }
        }
    }

    pub(crate) fn status(&self) -> Vec<ServerStatus> {
        let now = self.clock().now();
        let samples = self.samples();
        let shown = self.all().iter().enumerate().map(|(place, server)| {
            let state = server.state();
            let (role, lsn, lag) = match state.role {
                Role::Primary => {
                    let flushed = samples.flushed(state.timeline).unwrap_or_default();
                    (ServerRole::Primary, flushed, Some(Duration::ZERO))
                }
                Role::Replica => {
                    let lag = samples.staleness(state.timeline, state.replayed.lsn, now);
                    (ServerRole::Replica, state.replayed.lsn, lag)
                }
                Role::Unknown => (ServerRole::Unreachable, state.replayed.lsn, None),
                Role::Stranger => (ServerRole::Stranger, Lsn::ZERO, None),
            };
            ServerStatus {
                name: server.name.clone(),
                address: server.address.clone(),
                role,
                sslmode: server.protection.name(),
                trouble: server.trouble().map(|trouble| trouble.why).or_else(|| self.rivalry(place)),
                zone: server.zone.clone(),
                timeline: state.timeline,
                lsn,
                lag,
            }
        });
        shown.collect()
    }

    /// How many servers call themselves primary and are not used.
    pub(crate) fn rivals(&self) -> usize {
        self.choice.borrow().rivals.len()
    }

    fn rivalry(&self, place: usize) -> Option<String> {
        let choice = self.choice.borrow();
        let is_rival = choice.rivals.iter().any(|rival| rival.server == place);
        is_rival.then(|| match &choice.primary {
            Some(Primary { server, timeline }) => {
                format!("calls itself primary, and is not used: {} is, on timeline {timeline}", server.name)
            }
            None => "calls itself primary, and gets no writes: it does not have the newest timeline alone, or an epoch \
                     names another"
                .to_owned(),
        })
    }
}
