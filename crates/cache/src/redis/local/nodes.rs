//! What a cluster's servers say of each other, in `CLUSTER NODES` and in their file of the same form.

use std::collections::HashMap;
use std::net::SocketAddr;

/// Where a server keeps it.
pub(super) const FILE: &str = "nodes.conf";

/// One server, as another sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) is_self: bool,
    pub(super) is_master: bool,
    pub(super) is_failing: bool,
    /// Whom it replicates.
    pub(super) master: Option<String>,
    /// First and last of each range that it serves.
    pub(super) slots: Vec<(u16, u16)>,
}

pub(super) fn read(text: &str) -> Vec<Member> {
    text.lines().filter_map(read_line).collect()
}

fn read_line(line: &str) -> Option<Member> {
    let parts: Vec<&str> = line.split_ascii_whitespace().collect();
    let [id, _, flags, master, _, _, _, _, slots @ ..] = parts.as_slice() else { return None };
    if *id == "vars" {
        return None;
    }
    let has = |flag: &str| flags.split(',').any(|found| found == flag);
    Some(Member {
        id: (*id).to_owned(),
        is_self: has("myself"),
        is_master: has("master"),
        is_failing: has("fail") || has("fail?") || has("handshake") || has("noaddr"),
        master: Some((*master).to_owned()).filter(|master| master != "-"),
        slots: slots.iter().filter_map(|range| read_range(range)).collect(),
    })
}

/// `5` or `5-9`; what is on its way, `[5->-…]`, is none.
fn read_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The file with these servers' present addresses in the place of those of last time.
pub(super) fn moved(text: &str, addresses: &HashMap<String, (SocketAddr, u16)>) -> String {
    let line = |line: &str| {
        let mut parts: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
        if let [id, address, ..] = parts.as_mut_slice()
            && let Some((at, peers)) = addresses.get(id)
        {
            let rest = address.find(',').map_or("", |comma| &address[comma..]);
            *address = format!("{}:{}@{peers}{rest}", at.ip(), at.port());
        }
        parts.join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
aaa 127.0.0.1:7001@17001,,tls-port=0 myself,master - 0 0 1 connected 0-99 101 [5->-bbb]
bbb 127.0.0.1:7002@17002 slave aaa 0 1 1 connected
ccc 127.0.0.1:7003@17003 master,fail? - 0 1 2 disconnected 102-16383
vars currentEpoch 6 lastVoteEpoch 0
";

    #[test]
    fn members_are_read() {
        let members = read(TEXT);
        assert_eq!(members.len(), 3);
        assert!(members[0].is_self && members[0].is_master && members[2].is_failing);
        assert_eq!(members[0].slots, [(0, 99), (101, 101)]);
        assert_eq!(members[1].master.as_deref(), Some("aaa"));
    }

    #[test]
    fn servers_that_have_moved_are_found_where_they_are() {
        let at = "127.0.0.1:9001".parse().unwrap();
        let moved = moved(TEXT, &HashMap::from([("aaa".to_owned(), (at, 19_001))]));
        assert!(moved.starts_with("aaa 127.0.0.1:9001@19001,,tls-port=0 myself,master - 0 0 1"), "{moved}");
        assert!(
            moved.ends_with("vars currentEpoch 6 lastVoteEpoch 0\n")
                && moved.contains("bbb 127.0.0.1:7002@17002")
        );
    }
}
