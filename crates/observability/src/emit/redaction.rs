//! Names of attributes whose values never leave the call that recorded them.
//!
//! A name is dropped if it, or one of the parts between its dots, underscores and hyphens, is on the list. Names are
//! looked at once, when their callsite is met for the first time; after that, an address is compared.

use arc_swap::{ArcSwap, Guard};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Metadata;

/// What carries secrets in most programs; headers and bind values are recorded by nobody here, and are on the list
/// for users' own spans.
const ALWAYS: &[&str] = &[
    "authorization",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
    "set-cookie",
];

#[derive(Debug)]
pub(super) struct Redaction {
    listed: Vec<String>,
    found: ArcSwap<Vec<&'static str>>,
    /// Whether there are any: mostly not, and then no list is read.
    has_found: AtomicBool,
    finding: Mutex<()>,
}

impl Redaction {
    pub(super) fn new(also: &[String]) -> Self {
        let listed = ALWAYS.iter().map(|name| (*name).to_owned());
        let listed = listed.chain(also.iter().map(|name| name.to_ascii_lowercase())).collect();
        Self {
            listed,
            found: ArcSwap::default(),
            has_found: AtomicBool::new(false),
            finding: Mutex::default(),
        }
    }

    /// Looks at the names of a callsite.
    pub(super) fn meet(&self, metadata: &Metadata<'static>) {
        for field in metadata.fields() {
            if self.drops(field.name()) {
                let _finding = self.finding.lock().unwrap_or_else(PoisonError::into_inner);
                let mut found = Vec::clone(&self.found.load());
                found.push(field.name());
                self.found.store(Arc::new(found));
                self.has_found.store(true, Ordering::Release);
            }
        }
    }

    /// The names met so far that are dropped, if there are any.
    pub(super) fn found(&self) -> Option<Guard<Arc<Vec<&'static str>>>> {
        self.has_found.load(Ordering::Acquire).then(|| self.found.load())
    }

    fn drops(&self, name: &str) -> bool {
        let is_listed = |part: &str| self.listed.iter().any(|listed| listed.eq_ignore_ascii_case(part));
        is_listed(name) || name.split('.').any(is_listed) || name.split(['.', '_', '-']).any(is_listed)
    }
}

/// Whether a name is among those that are dropped, as its callsite spells it.
pub(super) fn holds(found: &[&'static str], name: &'static str) -> bool {
    found.iter().any(|dropped| std::ptr::eq(*dropped, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_dropped_if_one_of_its_parts_is_listed() {
        let redaction = Redaction::new(&["Iban".to_owned()]);
        for name in [
            "password",
            "user.password",
            "SESSION_TOKEN",
            "http.request.header.set-cookie",
            "my.api_key",
            "customer.iban",
        ] {
            assert!(redaction.drops(name), "{name}");
        }
        for name in ["tokenizer", "http.route", "secretary", "onefold.cache.result"] {
            assert!(!redaction.drops(name), "{name}");
        }
    }
}
