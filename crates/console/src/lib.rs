//! The console: one page that shows the system alive, and the guard in front of the observer's API.
//!
//! It owns who may come in ([`Config`], [`Tokens`], sessions), what a browser may do with the page (its headers),
//! the record of changes ([`Audit`]) and the page itself, which is embedded. The API's routers are given to it by
//! the facade; it knows no tier.

mod access;
mod attempts;
mod audit;
mod config;
mod console;
mod credential;
mod gate;
mod hex;
mod login;
mod page;
mod problem;
mod session;
mod tls;
mod tokens;

pub use access::{Access, Actor};
pub use audit::Audit;
pub use config::{Config, Read, Tls};
pub use console::Console;
pub use tls::{Acceptor, Connector};
pub use tokens::{Tokens, TokensError};
