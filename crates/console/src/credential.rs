//! Who sends a request: a program with a token, a browser with a session, or nobody we know.

use crate::access::{Access, Actor};
use crate::console::Shared;
use crate::problem::Problem;
use crate::session::Session;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, header};
use std::net::{IpAddr, SocketAddr};

/// The header that changes must carry beside a session's cookie.
pub(crate) const CSRF: &str = "onefold-csrf";

/// What a request proved.
#[derive(Debug)]
pub(crate) enum Credential {
    None,
    Token(Access),
    Session(Session),
}

impl Credential {
    /// Reads it. A wrong token is an error; a cookie of no session is merely none.
    pub(crate) fn of(request: &Request, shared: &Shared) -> Result<Self, Problem> {
        let headers = request.headers();
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token =
                value.to_str().ok().and_then(bearer).ok_or_else(|| {
                    Problem::unauthorized("the authorization header must read `Bearer TOKEN`")
                })?;
            return shared.access_of(token, sender(request)).map(Self::Token);
        }
        let session = cookie(headers, &shared.cookie).and_then(|id| shared.sessions.get(id));
        Ok(session.map_or(Self::None, Self::Session))
    }

    pub(crate) fn actor(&self) -> Option<Actor> {
        match self {
            Self::None => None,
            Self::Token(access) => Some(Actor { name: format!("token:{access}"), access: *access }),
            Self::Session(session) => Some(session.actor.clone()),
        }
    }

    /// Whether a change may be made by it. Only our own page can read the value that the header must carry.
    pub(crate) fn may_change(&self, headers: &HeaderMap) -> Result<Actor, Problem> {
        let Some(actor) = self.actor() else {
            return Err(Problem::unauthorized("a change needs a session, or `authorization: Bearer TOKEN`"));
        };
        if let Self::Session(session) = self {
            session.check_csrf(headers)?;
        }
        if actor.access < Access::Operate {
            return Err(Problem::forbidden("a change needs the token of the role operate"));
        }
        Ok(actor)
    }
}

impl Session {
    pub(crate) fn check_csrf(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = headers.get(CSRF).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
        let expected = self.csrf.expose().as_bytes();
        let differing = given.iter().zip(expected).fold(0_u8, |all, (a, b)| all | (a ^ b));
        if given.len() != expected.len() || std::hint::black_box(differing) != 0 {
            return Err(Problem::forbidden("the header onefold-csrf is missing or not this session's"));
        }
        Ok(())
    }
}

/// The address at the other end, where the server passes it on.
pub(crate) fn sender(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The cookie of this name. One that comes twice was set by somebody else too, and is none.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    let first = values.next();
    first.filter(|_| values.next().is_none())
}
