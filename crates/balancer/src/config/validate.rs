//! Which values cannot work.

use super::Config;
use onefold_core::deadline::DurationText;
use onefold_core::topology::{Fault, Faults};
use std::time::Duration;

impl Config {
    /// All values that cannot work, by key.
    ///
    /// # Errors
    /// Every fault, never only the first.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Faults::default();
        self.validate_durations(&mut faults);
        self.validate_numbers(&mut faults);
        faults.into_result()
    }

    fn validate_durations(&self, faults: &mut Faults) {
        let positive = [
            ("header_timeout", self.header_timeout),
            ("client_idle_timeout", self.client_idle_timeout),
            ("write_timeout", self.write_timeout),
            ("body_idle_timeout", self.body_idle_timeout),
            ("request_timeout", self.request_timeout),
            ("exchange_timeout", self.exchange_timeout),
            ("response_idle_timeout", self.response_idle_timeout),
            ("connect_timeout", self.connect_timeout),
            ("queue_timeout", self.queue_timeout),
            ("endpoint_idle_timeout", self.endpoint_idle_timeout),
            ("check_interval", self.check_interval),
            ("check_timeout", self.check_timeout),
            ("ejection_base", self.ejection_base),
        ];
        for (key, value) in positive {
            check(faults, !value.is_zero(), key, DurationText(value), "write at least 1ms");
        }
        let may_be_zero = [
            ("ejection_max", self.ejection_max),
            ("slow_start", self.slow_start),
            ("drain_timeout", self.drain_timeout),
        ];
        for (key, value) in positive.into_iter().chain(may_be_zero) {
            check(faults, value <= Duration::from_hours(24), key, DurationText(value), "write at most 24h");
        }
        let longer = "it must not be shorter than balancer.ejection_base";
        check(
            faults,
            self.ejection_max >= self.ejection_base,
            "ejection_max",
            DurationText(self.ejection_max),
            longer,
        );
    }

    fn validate_numbers(&self, faults: &mut Faults) {
        const HEAD: std::ops::RangeInclusive<usize> = (1 << 10)..=(1 << 20);
        let bytes = self.header_bytes_max;
        check(faults, HEAD.contains(&bytes), "header_bytes_max", bytes, "write 1024 to 1048576");
        let lines = self.header_lines_max;
        check(faults, (1..=100).contains(&lines), "header_lines_max", lines, "write 1 to 100");
        check(
            faults,
            self.threads <= 1024,
            "threads",
            self.threads,
            "write at most 1024, or 0 for one per core",
        );
        for (key, value) in [
            ("client_connections_max", self.client_connections_max),
            ("endpoint_connections_max", self.endpoint_connections_max),
        ] {
            check(faults, value > 0, key, value, "write at least 1");
        }
        for (key, value) in
            [("ejection_failures", self.ejection_failures), ("check_failures", self.check_failures)]
        {
            check(faults, value > 0, key, value, "write at least 1");
        }
        let percent = self.panic_below_percent;
        check(faults, percent <= 100, "panic_below_percent", percent, "write 0 to 100");
        let share = self.retry_share;
        check(faults, (0.0..=1.0).contains(&share), "retry_share", share, "write 0 to 1");
        let drip = self.retry_per_second;
        check(faults, (0.0..=1e6).contains(&drip), "retry_per_second", drip, "write 0 to 1000000");
        let retries = self.retries_max;
        check(faults, retries <= 10, "retries_max", retries, "write 0 to 10");
    }
}

fn check(faults: &mut Faults, holds: bool, key: &str, value: impl std::fmt::Display, fix: &str) {
    if !holds {
        faults.0.push(Fault::new(format!("balancer.{key}"), format!("{value} does not fit"), fix));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let config = Config {
            header_lines_max: 200,
            retry_share: f64::NAN,
            connect_timeout: Duration::ZERO,
            ..Config::default()
        };
        let Faults(faults) = config.validate().unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["balancer.connect_timeout", "balancer.header_lines_max", "balancer.retry_share"]);
    }
}
