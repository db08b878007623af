//! What a server says of itself: `INFO`.

/// The first version that has what we need: several sections, scripts as they are, sharded channels.
const MAJOR_MIN: u32 = 7;

/// A server's own account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) version: String,
    pub(crate) is_cluster: bool,
    pub(crate) is_replica: bool,
    pub(crate) is_loading: bool,
    /// What it evicts when it is full.
    pub(crate) policy: String,
    /// How much it may hold; zero: all that there is.
    pub(crate) memory_bytes_max: u64,
    /// Another after each start, and after each promotion: what was acknowledged before may be lost then.
    pub(crate) incarnation: String,
}

impl Facts {
    pub(crate) fn read(info: &str) -> Self {
        let mut facts = Self::default();
        let (mut process, mut history) = ("", "");
        for (key, value) in info.lines().filter_map(|line| line.split_once(':')) {
            match key {
                "redis_version" => value.clone_into(&mut facts.version),
                "cluster_enabled" => facts.is_cluster = value == "1",
                "role" => facts.is_replica = value == "slave",
                "loading" => facts.is_loading = value == "1",
                "maxmemory_policy" => value.clone_into(&mut facts.policy),
                "maxmemory" => facts.memory_bytes_max = value.parse().unwrap_or(0),
                "run_id" => process = value,
                "master_replid" => history = value,
                _ => {}
            }
        }
        facts.incarnation = format!("{process}:{history}");
        facts
    }

    pub(crate) fn is_new_enough(&self) -> bool {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| major >= MAJOR_MIN)
    }

    /// Whether it refuses to store anything once it is full, so that the cache is one no more.
    pub(crate) fn refuses_when_full(&self) -> bool {
        self.policy == "noeviction" && self.memory_bytes_max > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_process_and_its_history() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\
                    role:master\r\nmaster_replid:def\r\ncluster_enabled:1\r\n";
        let facts = Facts::read(info);
        assert_eq!(facts.incarnation, "abc:def");
        assert!(facts.is_new_enough() && facts.is_cluster && !facts.is_replica);
        assert!(!facts.refuses_when_full(), "it has no bound to be full at");
        assert!(!Facts::read("redis_version:6.2.14").is_new_enough());
    }
}
