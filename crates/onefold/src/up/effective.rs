//! The topology as the nodes of `up` read it: the user's, and where the engines are.

use super::engines::Engines;
use crate::cli::Failure;
use crate::topology::Topology;
use onefold_core::topology::{Document, Faults};
use onefold_supervisor::State;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use toml::{Table, Value};

/// Where it stands in the state directory.
pub(crate) const EFFECTIVE: &str = "run/topology.toml";

/// Where the observer takes telemetry.
#[derive(Clone, Copy)]
pub(super) struct Ingest {
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
    /// Where it shows the system.
    pub(super) console: Option<SocketAddr>,
}

/// The file and what it says.
pub(super) struct Effective {
    pub(super) path: PathBuf,
    pub(super) topology: Topology,
}

/// Writes the file for this start.
pub(super) fn write(
    topology: &Topology,
    state: &State,
    engines: &Engines,
    ingest: Ingest,
) -> Result<Effective, Failure> {
    let mut document = topology.document.clone();
    // On one machine it helps to see who answered; elsewhere it is nobody's business.
    document.set("app.expose_node", true)?;
    document.set("observer.grpc", ingest.grpc.to_string())?;
    document.set("observer.http", ingest.http.to_string())?;
    if let Some(console) = ingest.console.filter(|_| !document.holds("observer.external_url")) {
        document.set("observer.external_url", topology.console.origin(console))?;
    }
    lead_in(&mut document, topology, ingest)?;
    // One person's requests are few, and each is worth looking at.
    if !document.holds("telemetry.sample") {
        document.set("telemetry.sample", 1.0)?;
    }
    if !document.holds("console.read") && topology.console.listen.ip().is_loopback() {
        document.set("console.read", "open")?;
    }
    if let Some(tls) = &topology.console.tls {
        // Commands read this file too, in whatever directory they are run.
        for (key, path) in [("console.tls.certificate", &tls.certificate), ("console.tls.key", &tls.key)] {
            document.set(key, std::path::absolute(path)?.display().to_string())?;
        }
    }
    for (key, value) in engines.keys() {
        document.set(key, value)?;
    }
    let path = state.path().join(EFFECTIVE);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::io::Write::write_all(&mut file, document.to_toml().as_bytes())?;
    Ok(Effective { path, topology: Topology::of(document)? })
}

/// Sends the nodes' telemetry to the observer, unless the topology names somebody in its place, with the key that it
/// asks for.
fn lead_in(document: &mut Document, topology: &Topology, ingest: Ingest) -> Result<(), Faults> {
    let observer = format!("http://{}", ingest.grpc);
    // The reference: the key itself stands in no file.
    let key = document.get("observer.ingest_key").cloned();
    match document.get("telemetry.otlp") {
        None => {
            document.set("telemetry.otlp", observer)?;
            let is_shown = document.holds("telemetry.key")
                || topology.telemetry.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
            key.filter(|_| !is_shown).map_or(Ok(()), |key| document.set("telemetry.key", key))
        }
        Some(others) if !topology.telemetry.otlp.is_empty() && topology.telemetry.otlp.are_beside() => {
            let mut own = Table::from_iter([("url".to_owned(), Value::from(observer))]);
            own.insert("also".to_owned(), true.into());
            own.extend(key.map(|key| ("key".to_owned(), key)));
            let mut all = vec![Value::Table(own)];
            match others.clone() {
                Value::Array(others) => all.extend(others),
                other => all.push(other),
            }
            document.set("telemetry.otlp", all)
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::TABLES;

    const INGEST: Ingest = Ingest {
        grpc: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4317),
        http: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4318),
        console: None,
    };

    const OWN: &str = "http://127.0.0.1:4317";

    fn urls(topology: &Topology) -> Vec<&str> {
        topology.telemetry.otlp.iter().map(|collector| collector.url.as_str()).collect()
    }

    /// The topology as nodes read it.
    fn led(written: &str) -> Topology {
        let document = Document::layered(written.parse().unwrap(), None, [], TABLES).unwrap();
        let mut led = document.clone();
        lead_in(&mut led, &Topology::of(document).unwrap(), INGEST).unwrap();
        assert!(!led.to_toml().contains("k3y"), "the key itself stands in {}", led.to_toml());
        Topology::of(led).unwrap()
    }

    #[test]
    fn the_nodes_know_their_own_observer_s_key_and_tell_it_nobody_else() {
        const KEY: &str = "[observer]\ningest_key = 'cmd:printf k%sy 3'\n";
        let shown = |topology: &Topology| topology.telemetry.key.as_ref().map(|key| key.expose().to_owned());
        let own = led(KEY);
        assert_eq!((urls(&own), shown(&own)), (vec![OWN], Some("k3y".to_owned())));
        assert_eq!(shown(&led("")), None);
        let other = "[telemetry]\notlp = 'http://collector:4317'";
        assert_eq!(shown(&led(&format!("{KEY}{other}"))), None);
        let by_hand = "[telemetry.headers]\nAuthorization = 'cmd:echo Bearer another'";
        assert_eq!(shown(&led(&format!("{KEY}{by_hand}"))), None);
    }
    #[test]
    fn collectors_stand_beside_the_observer_or_in_its_place() {
        let table = |also: bool| format!("[telemetry]\notlp = {{ url = 'https://a:1', also = {also} }}");
        assert_eq!(urls(&led(&table(false))), ["https://a:1"]);
        assert_eq!(urls(&led("[telemetry]\notlp = ''")), [""; 0]);
        let both = led(&format!("[observer]\ningest_key = 'cmd:printf k%sy 3'\n{}", table(true)));
        assert_eq!(urls(&both), [OWN, "https://a:1"]);
        let keys: Vec<_> = both.telemetry.otlp.iter().map(|collector| collector.key.is_some()).collect();
        assert_eq!(keys, [true, false], "the observer's key is shown to the observer alone");
        assert_eq!(both.telemetry.first_of_several(), Some("127.0.0.1:4317"));
        let list = "[telemetry]\notlp = [{ url = 'https://a:1', also = true }, { url = 'https://b:1', also = true }]";
        assert_eq!(urls(&led(list)), [OWN, "https://a:1", "https://b:1"]);
    }
}
