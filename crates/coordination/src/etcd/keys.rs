//! Where what is kept stands in etcd. Everything lies under one prefix, which a user may be restricted to.
//!
//! ```text
//! PREFIX/carried/LEASE␀KEY     which keys end with which lease
//! PREFIX/entry/KEY             a key with its value
//! PREFIX/epoch                 grows where revisions may have run back
//! PREFIX/forgotten             changes up to this revision are forgotten
//! PREFIX/head                  written by each transaction: its revision is the newest
//! PREFIX/lease/NAME            a lease that is held, carried by a lease of etcd's
//! PREFIX/past/KEY␀KIND ID      what a key once was, who did it and why; KIND is `d` (durable) or `l` (carried)
//! ```
//! What watchers need stands side by side, from `entry/` to `lease/`: they watch one range.

use bytes::Bytes;
use std::fmt::Display;
use uuid::Uuid;

/// All keys of one system.
#[derive(Clone, Debug)]
pub(super) struct Keys(String);

/// All keys from one up to, and without, another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) key: Bytes,
    pub(super) end: Bytes,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self(format!("{prefix}/"))
    }

    fn key(&self, rest: impl Display) -> Bytes {
        format!("{}{rest}", self.0).into()
    }

    fn span(&self, rest: impl Display) -> Span {
        Span::under(format!("{}{rest}", self.0))
    }

    pub(super) fn all(&self) -> Span {
        self.span("")
    }

    pub(super) fn entry(&self, key: &str) -> Bytes {
        self.key(format_args!("entry/{key}"))
    }

    pub(super) fn entries(&self, prefix: &str) -> Span {
        self.span(format_args!("entry/{prefix}"))
    }

    pub(super) fn epoch(&self) -> Bytes {
        self.key("epoch")
    }

    pub(super) fn forgotten(&self) -> Bytes {
        self.key("forgotten")
    }

    pub(super) fn head(&self) -> Bytes {
        self.key("head")
    }

    pub(super) fn lease(&self, name: &str) -> Bytes {
        self.key(format_args!("lease/{name}"))
    }

    pub(super) fn leases(&self, prefix: &str) -> Span {
        self.span(format_args!("lease/{prefix}"))
    }

    pub(super) fn carried(&self, lease: &str, key: &str) -> Bytes {
        self.key(format_args!("carried/{lease}\0{key}"))
    }

    pub(super) fn all_carried(&self, prefix: &str) -> Span {
        self.span(format_args!("carried/{prefix}"))
    }

    /// A new place for what `key` is from now on.
    pub(super) fn past(&self, key: &str, is_carried: bool) -> Bytes {
        let kind = if is_carried { 'l' } else { 'd' };
        self.key(format_args!("past/{key}\0{kind}{}", Uuid::now_v7().simple()))
    }

    pub(super) fn pasts(&self, key: &str) -> Span {
        self.span(format_args!("past/{key}\0"))
    }

    pub(super) fn all_pasts(&self) -> Span {
        self.span("past/")
    }

    /// Entries and heads.
    pub(super) fn changes(&self) -> Span {
        Span { key: self.key("entry/"), end: self.key("head\0") }
    }

    /// The same, and leases.
    pub(super) fn watched(&self) -> Span {
        Span { key: self.key("entry/"), end: self.leases("").end }
    }

    /// What stands behind `PREFIX/place/`.
    pub(super) fn strip<'a>(&self, key: &'a [u8], place: &str) -> Option<&'a str> {
        let rest = key.strip_prefix(self.0.as_bytes())?.strip_prefix(place.as_bytes())?;
        std::str::from_utf8(rest).ok()
    }
}

impl Span {
    /// All keys that begin so: up to the prefix with its last byte raised.
    fn under(prefix: String) -> Self {
        let mut end = prefix.clone().into_bytes();
        // No text ends with 0xff, and none is empty.
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        Self { key: prefix.into(), end: end.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchers_see_entries_heads_and_leases_and_nothing_else() {
        let keys = Keys::new("sys");
        let within = |span: &Span, key: &Bytes| *key >= span.key && *key < span.end;
        let (watched, changes) = (keys.watched(), keys.changes());
        for key in [keys.entry("a"), keys.epoch(), keys.forgotten(), keys.head()] {
            assert!(within(&watched, &key) && within(&changes, &key), "{key:?}");
        }
        assert!(within(&watched, &keys.lease("z")) && !within(&changes, &keys.lease("z")));
        for key in [keys.carried("l", "k"), keys.past("k", false)] {
            assert!(!within(&watched, &key) && within(&keys.all(), &key), "{key:?}");
        }
        assert!(!within(&keys.all(), &Keys::new("system").head()), "another system's keys are its own");
        assert_eq!(keys.strip(&keys.entry("a/b"), "entry/"), Some("a/b"));
    }
}
