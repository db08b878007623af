//! Gauges of the servers as this node sees them, brought up to date before each snapshot of the metrics.

use super::{ServerRole, Servers};
use onefold_core::Lsn;
use onefold_core::metrics::{Gauge, Metrics};
use std::sync::Arc;

struct Gauges {
    up: Gauge,
    lag: Gauge,
    lsn: Gauge,
}

/// Shows, for each server, whether it answers and how stale a read may be there.
pub(crate) fn expose(servers: &Arc<Servers>, metrics: &Metrics) {
    let gauges: Vec<Gauges> = servers
        .all()
        .iter()
        .map(|server| {
            let gauge = |name, help| metrics.gauge(name, help, &[("server", server.name.as_str())]);
            Gauges {
                up: gauge("onefold_database_server_up", "1 while the server answers this node"),
                lag: gauge(
                    "onefold_database_replica_lag_seconds",
                    "How stale a read may be there at most; NaN while that is not known",
                ),
                lsn: gauge(
                    "onefold_database_server_lsn_bytes",
                    "What a replica has replayed or the primary has flushed of the log",
                ),
            }
        })
        .collect();
    let rivals = metrics.gauge(
        "onefold_database_rival_primaries",
        "Servers that call themselves primary and are not used: an old primary that has come back",
        &[],
    );
    // The metrics outlive the database: it must not be kept open by being looked at.
    let servers = Arc::downgrade(servers);
    metrics.before_snapshot(move || {
        let Some(servers) = servers.upgrade() else { return };
        rivals.set(f64::from(u16::try_from(servers.rivals()).unwrap_or(u16::MAX)));
        for (status, gauges) in servers.status().into_iter().zip(&gauges) {
            let answers = !matches!(status.role, ServerRole::Unreachable | ServerRole::Stranger);
            gauges.up.set(f64::from(u8::from(answers)));
            gauges.lag.set(status.lag.map_or(f64::NAN, |lag| lag.as_secs_f64()));
            gauges.lsn.set(bytes(status.lsn));
        }
    });
}

#[expect(clippy::cast_precision_loss, reason = "exact below 8 PiB of log")]
fn bytes(lsn: Lsn) -> f64 {
    lsn.0 as f64
}
