//! How many connections a node may open: the arithmetic that `doctor` prints.

use crate::config::Config;
use serde::Serialize;

/// Probe, listener, notifier and one tail.
const OWN: usize = 4;
/// The probe, for a server that is a replica.
const OWN_ON_REPLICA: usize = 1;

/// The connections that one node opens at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectionBudget {
    /// To the primary.
    pub primary: usize,
    /// To each replica.
    pub replica: usize,
}

impl Config {
    /// The connections that one node opens at most. Any server may become primary, so that `max_connections` on
    /// every server must exceed `primary` times the number of nodes, and what people and backups need.
    pub fn connection_budget(&self) -> ConnectionBudget {
        let reads = usize::from(self.shared_connections) + self.slow_read_connections_max;
        let writes = usize::from(self.shared_connections) + self.exclusive_connections_max;
        ConnectionBudget { primary: reads + writes + OWN, replica: reads + OWN_ON_REPLICA }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_is_counted() {
        let config = Config {
            shared_connections: 2,
            exclusive_connections_max: 10,
            slow_read_connections_max: 4,
            ..Config::default()
        };
        assert_eq!(config.connection_budget(), ConnectionBudget { primary: 22, replica: 7 });
    }
}
