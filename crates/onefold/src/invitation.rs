//! A link that opens the console: it carries a ticket, which starts one session.

use onefold_console::{Access, Tokens, TokensError};
use onefold_core::Clock;
use std::net::SocketAddr;
use std::path::Path;

/// The link. Whoever may read the file of the tokens can make one; the console need not run.
///
/// # Errors
/// Where the tokens cannot be read or made.
pub(crate) fn link(console: SocketAddr, tokens: &Path, clock: &Clock) -> Result<String, TokensError> {
    let ticket = Tokens::open(tokens)?.ticket(Access::Operate, clock.wall())?;
    Ok(format!("http://{console}/#token={}", ticket.expose()))
}
