//! Nothing acknowledged is lost: in the end a `Strong` read of each key shows the last acknowledged version, or one
//! whose outcome was unknown. And nothing is read at any time that was not written, or only later.
//!
//! Needs the versions of a key in order. A key that no `Strong` read saw after its last write leaves the verdict open.

use super::by_key;
use crate::history::{Level, Operation, Version};
use crate::verdict::{Verdict, Violation};

/// Whether what was acknowledged was kept.
pub fn check(history: &[Operation]) -> Verdict {
    let mut checked = 0;
    let mut unread = Vec::new();
    for (key, operations) in by_key(history) {
        if let Some(violation) = operations.iter().find_map(|read| invented(read, &operations)) {
            return Verdict::Broken(violation);
        }
        let Some(last) = operations.iter().rev().find(|operation| operation.written().is_some()) else {
            continue;
        };
        let strong = operations
            .iter()
            .rev()
            .find(|read| read.called >= last.ended && matches!(read.seen(), Some((Level::Strong, _))));
        match strong {
            None => unread.push(key),
            Some(read) if read.seen().map(|(_, version)| version) < last.written() => {
                let what = format!("{key} lost an acknowledged write");
                return Verdict::Broken(Violation {
                    what,
                    operations: vec![(*last).clone(), (*read).clone()],
                });
            }
            Some(_) => checked += 1,
        }
    }
    match unread.first() {
        Some(key) => Verdict::Unknown(format!("no strong read of {key} follows its last write")),
        None => Verdict::Held { checked },
    }
}

/// A read of what nobody can have written by then.
fn invented(read: &Operation, operations: &[&Operation]) -> Option<Violation> {
    let (_, version) = read.seen()?;
    let could = |write: &&Operation| write.maybe_written() == Some(version) && write.called <= read.ended;
    if version == Version::NONE || operations.iter().any(could) {
        return None;
    }
    let writes = operations.iter().filter(|write| write.action == crate::Action::Write(version));
    let shown = writes.map(|write| (*write).clone()).chain([read.clone()]);
    let what = format!("{version} of {} was read, and nobody had written it", read.key);
    Some(Violation { what, operations: shown.collect() })
}
