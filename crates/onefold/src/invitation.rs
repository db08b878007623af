//! A link that opens the console: it carries a ticket, which starts one session.

use onefold_console::{Access, Config, Tokens, TokensError};
use onefold_core::Clock;
use std::net::SocketAddr;
use std::path::Path;

/// The link to the console that listens at `address`. Whoever may read the file of the tokens can make one; the
/// console need not run.
///
/// # Errors
/// Where the tokens cannot be read or made.
pub(crate) fn link(
    console: &Config,
    address: SocketAddr,
    tokens: &Path,
    clock: &Clock,
) -> Result<String, TokensError> {
    let ticket = Tokens::open(tokens)?.ticket(Access::Operate, clock.wall())?;
    Ok(format!("{}/#token={}", console.origin(address), ticket.expose()))
}
