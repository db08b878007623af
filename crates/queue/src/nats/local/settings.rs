//! The configuration file of one server. It holds passwords, so its mode is 0600, and none stands in arguments.

use onefold_core::Secret;
use onefold_core::engine::{Seat, Site};
use std::fmt::Write as _;
use std::path::Path;

/// The user of the application's nodes.
pub(super) const USER: &str = "onefold";
/// The user by which servers reach each other.
const ROUTE_USER: &str = "route";

/// What all servers share.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    pub(super) application: Secret,
    pub(super) route: Secret,
}

/// The text of the file. Servers before 2.10 know no `sync_interval`, and refuse it.
pub(super) fn text(
    site: &Site,
    seat: &Seat,
    store: &Path,
    passwords: &Passwords,
    knows_sync: bool,
) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line(format!("listen: \"{}\"", seat.address));
    line(format!("server_name: \"{}\"", seat.name));
    line(format!("authorization {{ user: {USER}, password: \"{}\" }}", passwords.application.expose()));
    line("max_payload: 1MB".to_owned());
    line("cluster {".to_owned());
    line("  name: onefold, no_advertise: true".to_owned());
    line(format!("  listen: \"{}\"", seat.peers));
    line(format!("  authorization {{ user: {ROUTE_USER}, password: \"{}\" }}", passwords.route.expose()));
    let route = |peer: &Seat| format!("\"nats://{ROUTE_USER}:{}@{}\"", passwords.route.expose(), peer.peers);
    line(format!("  routes: [{}]", site.seats.iter().map(route).collect::<Vec<_>>().join(", ")));
    line("}".to_owned());
    let sync = if knows_sync { ", sync_interval: always" } else { "" };
    line(format!("jetstream {{ store_dir: \"{}\"{sync} }}", quoted(store)));
    text
}

fn quoted(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_synced_by_servers_that_know_how() {
        let seat = |n: u16| Seat {
            name: format!("nats-{n}").parse().unwrap(),
            zone: "a".parse().unwrap(),
            address: ([127, 0, 0, 1], 4000 + n).into(),
            peers: ([127, 0, 0, 1], 5000 + n).into(),
        };
        let (home, secrets) = ("/state/engines".into(), "/state/secrets".into());
        let site = Site { seats: vec![seat(1), seat(2)], home, secrets, account: None };
        let passwords = Passwords { application: Secret::new("aaaa"), route: Secret::new("bbbb") };
        let text =
            |knows| text(&site, &site.seats[0], Path::new("/state/engines/nats-1/store"), &passwords, knows);
        assert!(text(true).contains("sync_interval: always") && !text(false).contains("sync_interval"));
        assert!(
            text(true).contains("listen: \"127.0.0.1:5001\"")
                && text(true).contains("nats://route:bbbb@127.0.0.1:5002")
        );
    }
}
