//! The bytes of a client, checked before the HTTP parser sees them.
//!
//! A request that two programs may read differently is refused here, whole: [`head`] checks a request head,
//! [`chunks`] follows a chunked body, [`strict::Strict`] sits between the socket and the parser and knows where
//! each head starts. What passes here is still parsed by hyper, so a mistake here is a refusal lost, not a
//! second opinion on where a request ends.
//!
//! Cost: one table look-up for each byte of a head and one comparison for each chunk; complete heads are checked
//! in the parser's own buffer, without a copy.

mod chunks;
mod follow;
pub(crate) mod head;
mod pace;
mod patience;
pub(crate) mod refusal;
pub(crate) mod strict;

pub(crate) use refusal::Refusal;
