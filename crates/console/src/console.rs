//! The console as a router: the gate around everything, access in front of the API's reads and changes.

mod access;
mod tickets;

use crate::access::Access;
use crate::attempts::Attempts;
use crate::audit::Audit;
use crate::config::Config;
use crate::gate::{Hosts, gate};
use crate::login;
use crate::page;
use crate::problem::Problem;
use crate::session::Sessions;
use crate::tokens::Tokens;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use onefold_core::Clock;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tickets::Tickets;

/// The largest body of a change: a flag's definition with long targeting fits well.
const BODY_BYTES_MAX: usize = 256 << 10;

/// The console of one observer.
#[derive(Debug)]
pub struct Console(Shared);

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) system: Option<String>,
    pub(crate) cookie: String,
    pub(crate) hosts: Hosts,
    pub(crate) tokens: Tokens,
    pub(crate) tickets: Tickets,
    pub(crate) attempts: Attempts,
    pub(crate) sessions: Sessions,
    pub(crate) audit: Audit,
    pub(crate) clock: Clock,
}

impl Console {
    /// A console under a configuration that has been [validated](Config::validate).
    pub fn new(config: Config, tokens: Tokens, audit: Audit, clock: Clock) -> Self {
        let sessions =
            Sessions::new(config.session_idle, config.session_age_max, config.sessions_max, clock.clone());
        Self(Shared {
            // Two systems on one machine share its cookies: the port tells them apart.
            cookie: format!("onefold_console_{}", config.listen.port()),
            hosts: Hosts::new(&config),
            tickets: Tickets::default(),
            attempts: Attempts::new(clock.clone()),
            system: None,
            config,
            tokens,
            sessions,
            audit,
            clock,
        })
    }

    /// Names the system, for the page's head.
    #[must_use]
    pub fn system(mut self, name: impl Into<String>) -> Self {
        self.0.system = Some(name.into());
        self
    }

    /// Remembers in this file which tickets were spent. Without it a restart forgets them.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds something else.
    pub fn spent_tickets(mut self, path: &Path) -> io::Result<Self> {
        self.0.tickets = Tickets::open(path)?;
        Ok(self)
    }

    /// The page, the session, and behind access checks the API: `reads` for whoever may view, `changes` for whoever
    /// may operate, each recorded in the audit. Handlers find the [`Actor`](crate::Actor) in the request's
    /// extensions; the two routers may hold the same path with different methods. The limit on wrong tokens tells
    /// senders apart where the server passes `ConnectInfo<SocketAddr>` on.
    pub fn router(self, reads: Router, changes: Router) -> Router {
        let shared = Arc::new(self.0);
        let reads = reads.route_layer(from_fn_with_state(shared.clone(), access::read));
        let changes = changes
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .route_layer(from_fn_with_state(shared.clone(), access::change));
        let session = Router::new()
            .route("/api/session", get(login::show).post(login::login).delete(login::logout))
            .with_state(shared.clone());
        Router::new()
            .merge(session)
            .merge(reads)
            .merge(changes)
            .merge(page::router())
            .fallback(unknown)
            .layer(from_fn_with_state(shared, gate))
    }
}

impl Shared {
    /// What a presented token permits, within the limit on wrong ones.
    pub(crate) fn access_of(&self, presented: &str, from: Option<IpAddr>) -> Result<Access, Problem> {
        if let Some(seconds) = self.attempts.wait_s(from) {
            return Err(Problem::too_many(seconds));
        }
        self.tokens.access(presented).ok_or_else(|| {
            self.attempts.failed(from);
            tracing::warn!(target: "onefold::audit", from = ?from, "a wrong token was presented to the console");
            Problem::unauthorized("the token is none of this console's; they stand in the tokens' file")
        })
    }
}

async fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path")
}
