//! Which values cannot work, or would open the door too far.

use super::{Config, Read};
use onefold_core::deadline::DurationText;
use onefold_core::topology::{Fault, Faults};
use std::time::Duration;

const SESSIONS: std::ops::RangeInclusive<usize> = 1..=10_000;

impl Config {
    /// All values that cannot work, by key.
    ///
    /// # Errors
    /// Every fault, never only the first.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        self.validate_exposure(&mut faults);
        for host in self.hosts.iter().filter(|host| !is_host(host)) {
            let fix = "write a name or an address without scheme and port, as in `console.example.com`";
            faults.push(Fault::new("console.hosts", format!("`{host}` is no host name"), fix));
        }
        for (key, value) in [("session_idle", self.session_idle), ("session_age_max", self.session_age_max)] {
            if value < Duration::from_secs(1) || value > Duration::from_hours(24 * 30) {
                let problem = format!("{} does not fit", DurationText(value));
                faults.push(Fault::new(format!("console.{key}"), problem, "write 1s to 720h"));
            }
        }
        if !SESSIONS.contains(&self.sessions_max) {
            let problem = format!("{} does not fit", self.sessions_max);
            faults.push(Fault::new("console.sessions_max", problem, "write 1 to 10000"));
        }
        Faults(faults).into_result()
    }

    fn validate_exposure(&self, faults: &mut Vec<Fault>) {
        let exposed = !self.listen.ip().is_loopback();
        if exposed && self.tls.is_none() {
            faults.push(Fault::new(
                "console.listen",
                format!("{} is reached from other machines, and there is no console.tls", self.listen),
                "listen on 127.0.0.1, or set console.tls.certificate and console.tls.key",
            ));
        }
        if self.read == Read::Open && exposed {
            faults.push(Fault::new(
                "console.read",
                format!("`open` shows everything to whoever reaches {}", self.listen),
                "write read = \"token\", or listen on 127.0.0.1",
            ));
        } else if self.read == Read::Open && !self.hosts.is_empty() {
            faults.push(Fault::new(
                "console.read",
                format!("`open` shows everything to whoever reaches {}", self.hosts.join(", ")),
                "write read = \"token\", or remove console.hosts",
            ));
        }
    }
}

fn is_host(host: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !host.is_empty()
        && host.len() <= 253
        && (host.bytes().all(name) || host.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;
    use std::net::SocketAddr;

    fn faults(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        config
            .validate()
            .err()
            .map_or(Vec::new(), |faults| faults.0.iter().map(ToString::to_string).collect())
    }

    fn everywhere(config: &mut Config) {
        config.listen = SocketAddr::from(([0, 0, 0, 0], 8500));
    }

    fn tls() -> Tls {
        Tls { certificate: "cert.pem".into(), key: "key.pem".into() }
    }

    #[test]
    fn the_default_is_loopback_with_a_token() {
        assert_eq!(faults(|_| ()), Vec::<String>::new());
        assert_eq!(Config::default().read, Read::Token);
    }

    #[test]
    fn off_loopback_it_wants_tls_and_a_token() {
        let found = faults(everywhere);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("console.listen: 0.0.0.0:8500") && found[0].contains("console.tls.key"),
            "{found:?}"
        );
        let found = faults(|config| {
            everywhere(config);
            config.tls = Some(tls());
            config.read = Read::Open;
        });
        assert!(found.len() == 1 && found[0].starts_with("console.read: `open`"), "{found:?}");
        let both = faults(|config| {
            everywhere(config);
            config.read = Read::Open;
        });
        assert_eq!(both.len(), 2, "{both:?}");
        let none = faults(|config| {
            everywhere(config);
            config.tls = Some(tls());
        });
        assert_eq!(none, Vec::<String>::new());
    }

    #[test]
    fn open_reads_and_further_names_exclude_each_other() {
        let found = faults(|config| {
            config.read = Read::Open;
            config.hosts = vec!["console.example.com".into()];
        });
        assert!(found.len() == 1 && found[0].contains("console.example.com"), "{found:?}");
    }

    #[test]
    fn hosts_are_names_without_scheme_and_port() {
        for wrong in ["", "http://a", "a:80", "a/b", "a b"] {
            assert_eq!(faults(|config| config.hosts = vec![wrong.into()]).len(), 1, "{wrong}");
        }
        for right in ["console.example.com", "10.0.0.7", "fe80::1"] {
            assert_eq!(faults(|config| config.hosts = vec![right.into()]).len(), 0, "{right}");
        }
    }
}
