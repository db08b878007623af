//! Where telemetry goes: the address, whom it must prove to be, and what it is shown with each message.

use crate::emit::config::Collector;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use onefold_core::tls::Connector;
use onefold_core::topology::Fault;

/// Headers that one topology may name.
const HEADERS_MAX: usize = 32;
/// What the protocol itself says by headers.
const OURS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
];

/// One collector.
#[derive(Debug)]
pub(in crate::emit) struct Destination {
    /// `host:port`.
    pub(super) authority: String,
    /// None: plain text.
    pub(super) trust: Option<Connector>,
    /// Sent with each message; never printed.
    pub(super) headers: HeaderMap,
}

impl Destination {
    /// # Errors
    /// Where the address is none, a header cannot be sent, or the file of an authority cannot be used.
    pub(in crate::emit) fn of(collector: &Collector) -> Result<Self, Fault> {
        let (is_tls, authority) = split(&collector.url).ok_or_else(|| wrong_address(collector))?;
        let trust = || {
            let setting = collector.setting("ca");
            Connector::load(&setting, collector.ca.as_deref(), None).map(|trust| trust.speaking("h2"))
        };
        Ok(Self {
            authority: authority.to_owned(),
            trust: is_tls.then(trust).transpose()?,
            headers: headers(collector)?,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.trust.is_some() { "https" } else { "http" }
    }

    pub(super) fn host(&self) -> &str {
        self.authority.rsplit_once(':').map_or(&self.authority, |(host, _)| host)
    }
}

/// Whether it is TLS, and `host:port`: nothing may come after the port.
pub(in crate::emit) fn split(address: &str) -> Option<(bool, &str)> {
    let plain = address.strip_prefix("http://").map(|rest| (false, rest));
    let (is_tls, rest) = plain.or_else(|| address.strip_prefix("https://").map(|rest| (true, rest)))?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':')?;
    let is_host = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    (is_host && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some((is_tls, authority))
}

fn wrong_address(collector: &Collector) -> Fault {
    Fault::new(
        collector.setting("url"),
        format!("`{}` is no address of a collector", collector.url),
        "write http://host:port or https://host:port, as in http://127.0.0.1:4317",
    )
}

/// What is wrong with a collector, as far as that can be seen without its files.
pub(in crate::emit) fn faults(collector: &Collector) -> Vec<Fault> {
    let address = split(&collector.url);
    let mut faults = Vec::new();
    if address.is_none() {
        faults.push(wrong_address(collector));
    }
    faults.extend(headers(collector).err());
    if collector.ca.is_some() && address.is_none_or(|(is_tls, _)| !is_tls) {
        let problem = format!("it says whom to trust, and `{}` is no https address", collector.url);
        let fix = format!("write https://host:port in {}, or remove it", collector.setting("url"));
        faults.push(Fault::new(collector.setting("ca"), problem, fix));
    }
    faults
}

/// The headers as they are sent. A value is in no fault: it is secret.
fn headers(collector: &Collector) -> Result<HeaderMap, Fault> {
    let named = &collector.headers;
    let fault = |key: String, problem: &str, fix: &str| Err(Fault::new(key, problem, fix));
    let setting = collector.setting("headers");
    if named.len() > HEADERS_MAX {
        return fault(setting, &format!("{} headers", named.len()), "name at most 32");
    }
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        let key = format!("{setting}.{name:.64}");
        let Ok(name) = HeaderName::try_from(name.to_lowercase()) else {
            return fault(key, "this is no name of a header", "write one such as authorization");
        };
        if OURS.contains(&name) || name.as_str().starts_with("grpc-") {
            return fault(key, "this header belongs to the protocol", "remove it");
        }
        let Ok(mut value) = HeaderValue::try_from(value.expose()) else {
            return fault(key, "its value holds what no header can", "refer to one line of plain text");
        };
        // So that HTTP/2 keeps it in no table either.
        value.set_sensitive(true);
        if name == header::AUTHORIZATION && collector.key.is_some() {
            let problem = format!("{} is shown by this header", collector.setting("key"));
            return fault(key, &problem, "remove one of the two");
        }
        if headers.insert(name, value).is_some() {
            return fault(key, "this header is named twice", "names differ by more than their case");
        }
    }
    if let Some(shown) = &collector.key {
        let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", shown.expose())) else {
            let fix = "refer to one line of plain text";
            return fault(collector.setting("key"), "it holds what no header can", fix);
        };
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Secret;
    use std::collections::BTreeMap;

    fn named<const N: usize>(headers: [(String, Secret); N]) -> Collector {
        Collector { headers: BTreeMap::from(headers), ..Collector::default() }
    }

    #[test]
    fn an_address_has_a_port_and_nothing_after_it() {
        for right in ["http://127.0.0.1:4317", "http://collector:4317/", "http://[::1]:4317"] {
            assert!(split(right).is_some_and(|(is_tls, _)| !is_tls), "{right}");
        }
        assert_eq!(split("https://collector:4317"), Some((true, "collector:4317")));
        for wrong in [
            "127.0.0.1:4317",
            "http://a",
            "https://a",
            "http://:1",
            "http://a:0",
            "http://a:1/v1",
            "http://u@a:1",
        ] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn headers_that_cannot_be_sent_are_named_without_their_values() {
        let told = |name: &str, value: &str| {
            let named = named([(name.to_owned(), Secret::new(value))]);
            headers(&named).err().map(|fault| fault.to_string())
        };
        assert_eq!(told("Authorization", "Bearer hunter2"), None);
        for (name, value) in
            [("a b", "hunter2"), ("grpc-timeout", "hunter2"), ("te", "hunter2"), ("x", "hunter2\n")]
        {
            let fault = told(name, value).unwrap();
            assert!(fault.starts_with(&format!("telemetry.headers.{name}: ")), "{fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        let twice = ["X-Key", "x-key"].map(|name| (name.to_owned(), Secret::new("1")));
        assert!(headers(&named(twice)).is_err());
        let sent = headers(&named([("x-key".to_owned(), Secret::new("hunter2"))])).unwrap();
        assert!(!format!("{sent:?}").contains("hunter2"));
    }

    #[test]
    fn a_key_is_shown_as_observers_want_it_and_by_nothing_else() {
        let key = Some(Secret::new("k3y"));
        let sent = headers(&Collector { key: key.clone(), ..Collector::default() }).unwrap();
        assert_eq!(sent["authorization"], "Bearer k3y");
        assert!(sent["authorization"].is_sensitive());
        let both = named([("Authorization".to_owned(), Secret::new("Bearer another"))]);
        let fault = headers(&Collector { key, ..both }).unwrap_err();
        assert_eq!(fault.key, "telemetry.headers.Authorization");
        let broken = Collector { key: Some(Secret::new("two\nlines")), ..Collector::default() };
        assert_eq!(headers(&broken).unwrap_err().key, "telemetry.key");
    }
}
