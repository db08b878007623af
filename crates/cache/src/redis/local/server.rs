//! One server of the cluster as a process.

use super::admin::Admin;
use super::birth;
use super::cluster::Shared;
use super::nodes::{self, Member};
use super::settings;
use onefold_core::engine::Seat;
use onefold_core::process::{BoxFuture, Command, Host, Process, ProcessError, Stop, StopSignal};
use onefold_core::{NodeName, Zone};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// There is nothing to save.
const GRACE: Duration = Duration::from_secs(5);
/// How long a restart waits for the replica to take over. Two of three masters must agree: after several deaths at once
/// nobody will.
const HANDOVER_MAX: Duration = Duration::from_secs(3);
const HANDOVER_LOOK: Duration = Duration::from_millis(30);

pub(super) struct Server {
    index: usize,
    shared: Arc<Shared>,
    is_replica: AtomicBool,
    /// Whether it has run under this supervisor: it has died, then, when it is started again.
    has_run: AtomicBool,
}

impl Server {
    pub(super) fn new(index: usize, shared: Arc<Shared>) -> Self {
        let is_replica = AtomicBool::new(index >= super::cluster::MASTERS);
        Self { index, shared, is_replica, has_run: AtomicBool::new(false) }
    }

    fn seat(&self) -> &Seat {
        &self.shared.site.seats[self.index]
    }

    fn data(&self, seat: &Seat) -> PathBuf {
        self.shared.site.home.join(seat.name.as_str())
    }

    /// What a server's own file says, where there is one.
    fn remembered(&self, seat: &Seat) -> Option<String> {
        std::fs::read_to_string(self.data(seat).join(nodes::FILE)).ok()
    }

    /// The id by which the cluster knows the server of a seat.
    fn id(&self, seat: &Seat) -> Option<String> {
        let members = nodes::read(&self.remembered(seat)?);
        members.into_iter().find(|member| member.is_self).map(|member| member.id)
    }

    /// Ports may be others than last time, and the cluster would look for itself where it was.
    fn follow_the_ports(&self, host: &dyn Host) -> Result<(), ProcessError> {
        let Some(text) = self.remembered(self.seat()) else { return Ok(()) };
        let seats = &self.shared.site.seats;
        let addresses: HashMap<String, (SocketAddr, u16)> = seats
            .iter()
            .filter_map(|seat| Some((self.id(seat)?, (seat.address, seat.peers.port()))))
            .collect();
        let moved = nodes::moved(&text, &addresses);
        if moved == text {
            return Ok(());
        }
        host.write(&self.data(self.seat()).join(nodes::FILE), &moved, self.shared.site.account.as_ref())
    }

    /// Has the replica of this dead master take over, so that it is not followed by a master that has forgotten
    /// everything. Without a replica, or without a majority, there is nothing to wait for.
    async fn hand_over(&self) {
        let handing = async {
            let own = self.id(self.seat())?;
            let members = self.ask_others().await?;
            let serves = members.iter().any(|member| member.id == own && !member.slots.is_empty());
            let replica = members
                .iter()
                .find(|member| serves && member.master.as_ref() == Some(&own) && !member.is_failing)?;
            let seat =
                self.shared.site.seats.iter().find(|seat| self.id(seat).as_ref() == Some(&replica.id))?;
            let mut admin = Admin::of(seat.address, &self.shared.passwords.admin).await.ok()?;
            admin.cluster::<()>(&["FAILOVER", "FORCE"]).await.ok()?;
            while !is_master(&mut admin).await? {
                tokio::time::sleep(HANDOVER_LOOK).await;
            }
            Some(())
        };
        if tokio::time::timeout(HANDOVER_MAX, handing).await.is_err() {
            tracing::warn!(server.name = %self.seat().name, "no replica took over the slots of a dead Redis; it returns empty");
        }
    }

    /// What any other server that answers says of all.
    async fn ask_others(&self) -> Option<Vec<Member>> {
        for seat in self.shared.site.seats.iter().filter(|seat| *seat != self.seat()) {
            let Ok(mut admin) = Admin::of(seat.address, &self.shared.passwords.admin).await else { continue };
            if let Ok(text) = admin.cluster::<String>(&["NODES"]).await {
                return Some(nodes::read(&text));
            }
        }
        None
    }
}

async fn is_master(admin: &mut Admin) -> Option<bool> {
    let role: redis::Value = admin.ask(&redis::cmd("ROLE")).await.ok()?;
    let redis::Value::Array(parts) = role else { return None };
    match parts.first()? {
        redis::Value::BulkString(role) => Some(role == b"master"),
        redis::Value::SimpleString(role) => Some(role == "master"),
        _ => None,
    }
}

impl Process for Server {
    fn name(&self) -> &NodeName {
        &self.seat().name
    }

    fn role(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            // One that does not answer is what it was.
            if let Ok(mut admin) = Admin::of(self.address(), &self.shared.passwords.admin).await
                && let Some(is_master) = is_master(&mut admin).await
            {
                self.is_replica.store(!is_master, Ordering::Relaxed);
            }
            let role = if self.is_replica.load(Ordering::Relaxed) { "replica" } else { "master" };
            role.to_owned()
        })
    }

    fn zone(&self) -> Option<&Zone> {
        Some(&self.seat().zone)
    }

    fn address(&self) -> SocketAddr {
        self.seat().address
    }

    /// The first makes them a cluster, once all are there.
    fn after(&self) -> Vec<NodeName> {
        if self.index > 0 {
            return Vec::new();
        }
        self.shared.site.seats.iter().skip(1).map(|seat| seat.name.clone()).collect()
    }

    fn prepare<'a>(&'a self, host: &'a dyn Host) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            let (data, account) = (self.data(self.seat()), self.shared.site.account.as_ref());
            host.directory(&data, account)?;
            if self.has_run.load(Ordering::Relaxed) {
                self.hand_over().await;
            } else {
                self.follow_the_ports(host)?;
            }
            let settings = settings::text(self.seat(), &data, &self.shared.prefix, &self.shared.passwords);
            host.write(&data.join("redis.conf"), &settings, account)
        })
    }

    fn command(&self) -> Command {
        let data = self.data(self.seat());
        let command = Command::new(&self.shared.binary)
            .arg(data.join("redis.conf"))
            .account(self.shared.site.account.clone());
        Command { directory: data, ..command }
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            let mut admin = Admin::of(self.address(), &self.shared.passwords.admin).await?;
            admin.ask::<()>(&redis::cmd("PING")).await?;
            self.has_run.store(true, Ordering::Relaxed);
            Ok(())
        })
    }

    fn started(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async { if self.index == 0 { birth::form(&self.shared).await } else { Ok(()) } })
    }

    fn stop(&self) -> Stop {
        Stop { signal: StopSignal::Terminate, grace: GRACE }
    }
}
