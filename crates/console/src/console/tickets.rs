//! The tickets that have been spent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Spent tickets remembered at once. Only holders of a token make tickets, so this is never full by chance; when it
/// is, no further ticket is taken, and tokens still are.
const SPENT_MAX: usize = 4096;

/// Nonces of spent tickets, until they would be too old anyway. A restarted observer has forgotten them.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<String, SystemTime>>);

impl Tickets {
    /// Spends a ticket; false if it has been spent before.
    pub(crate) fn spend(&self, nonce: String, expires: SystemTime, now: SystemTime) -> bool {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, expires| *expires > now);
        if spent.len() >= SPENT_MAX || spent.contains_key(&nonce) {
            return false;
        }
        spent.insert(nonce, expires);
        true
    }
}
