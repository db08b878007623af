//! The collector as its senders meet it: real SDKs, and its death.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too")]

mod kill;
mod lost;
mod sdk;
mod victim;
