//! What each part of the balancer gets of the configuration.

use super::Config;
use crate::endpoint::node::Settings;
use crate::endpoint::outlier;
use crate::endpoint::roster::Rules;
use crate::hygiene::{head, strict};
use crate::pool;
use onefold_core::{Clock, Zone};

impl Config {
    /// What endpoints are told, for so many threads.
    pub(crate) fn endpoint_settings(&self, clock: &Clock, threads: usize) -> Settings {
        Settings {
            origin: clock.now(),
            clock: clock.clone(),
            threads,
            pool: pool::Limits {
                connections_max: self.endpoint_connections_max.div_ceil(threads),
                queue_max: self.endpoint_queue_max.div_ceil(threads),
                idle_timeout: self.endpoint_idle_timeout,
            },
            outlier: outlier::Limits {
                failures: self.ejection_failures,
                base: self.ejection_base,
                max: self.ejection_max,
            },
            slow_start: self.slow_start,
        }
    }

    /// What bounds the streams of clients.
    pub(crate) fn stream_limits(&self) -> strict::Limits {
        strict::Limits {
            head: head::Limits { bytes_max: self.header_bytes_max, lines_max: self.header_lines_max },
            head_timeout: self.header_timeout,
            idle_timeout: self.client_idle_timeout,
            write_timeout: self.write_timeout,
            body_idle_timeout: self.body_idle_timeout,
            body_bytes_per_second_min: self.body_bytes_per_second_min,
        }
    }

    /// How endpoints are chosen by a balancer in `zone`.
    pub(crate) fn rules(&self, zone: &Zone) -> Rules {
        Rules {
            zone: self.prefer_zone.then(|| zone.clone()),
            zone_endpoints_min: self.zone_endpoints_min,
            panic_below_percent: usize::from(self.panic_below_percent),
        }
    }

    /// The number of threads to run.
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}
