//! `/api/session`: who one is, login, logout.

use crate::access::Access;
use crate::console::Shared;
use crate::credential::{Credential, cookie, sender};
use crate::problem::Problem;
use crate::session::Session;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use onefold_core::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const BODY_BYTES_MAX: usize = 4096;
const NAME_CHARACTERS_MAX: usize = 40;
/// Who changed something, where nobody gave a name.
const NAMELESS: &str = "console";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
    #[serde(default)]
    name: Option<String>,
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    Ok(Json(match Credential::of(&request, &shared)? {
        Credential::Session(session) => about(&shared, Some(&session)),
        Credential::Token(access) => {
            json!({ "role": access, "csrf": null, "name": null, "system": shared.system })
        }
        Credential::None => about(&shared, None),
    }))
}

/// Login starts a new session always, so that no id known before it is worth anything after it.
pub(crate) async fn login(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Problem> {
    let (from, headers) = (sender(&request), request.headers().clone());
    let login = read(request).await?;
    let access = shared.admit(&login.token, from)?;
    if let Some(id) = cookie(&headers, &shared.cookie) {
        shared.sessions.end(id);
    }
    let name = login.name.as_deref().and_then(tidy).unwrap_or_else(|| NAMELESS.to_owned());
    let (id, session) = shared.sessions.start(name, access).map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the system has no randomness; try again")
    })?;
    shared.audit.record(&session.actor, from, "POST", "/api/session", 200);
    let secure = shared.config.tls.is_some() || is_behind_tls(&headers);
    Ok(with_cookie(Json(about(&shared, Some(&session))), &set_cookie(&shared, Some(&id), secure)))
}

pub(crate) async fn logout(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = cookie(&headers, &shared.cookie).unwrap_or_default();
    if let Some(session) = shared.sessions.get(id) {
        session.check_csrf(&headers)?;
        shared.sessions.end(id);
    }
    Ok(with_cookie(Json(about(&shared, None)), &set_cookie(&shared, None, false)))
}

async fn read(request: Request) -> Result<Login, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let json = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if json.is_none_or(|value| !value.starts_with("application/json")) {
        // A form of a foreign page can send text, but not this type without asking first.
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send content-type: application/json"));
    }
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX)
        .await
        .map_err(|_| bad(format!("the body is broken or longer than {BODY_BYTES_MAX} bytes")))?;
    serde_json::from_slice(&body).map_err(|e| bad(format!("the body must be {{\"token\": \"…\"}}: {e}")))
}

impl Shared {
    /// What a token or ticket admits to. A ticket is spent by it.
    fn admit(&self, presented: &str, from: Option<std::net::IpAddr>) -> Result<Access, Problem> {
        let Some(ticket) = self.tokens.redeem(presented) else {
            return self.access_of(presented, from);
        };
        let now = self.clock.wall();
        let spent = ticket.expires > now && self.tickets.spend(ticket.nonce, ticket.expires, now).map_err(|error| {
            tracing::error!(%error, "the use of a link cannot be recorded, so none is taken; make the observer's directory writable");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the use of this link cannot be recorded; use the token in the tokens' file")
        })?;
        if !spent {
            return Err(Problem::unauthorized(
                "this link has been used or is too old; use the token in the tokens' file, or ask for a new link",
            ));
        }
        Ok(ticket.access)
    }
}

fn about(shared: &Shared, session: Option<&Session>) -> Value {
    json!({
        "role": session.map(|session| session.actor.access),
        "name": session.map(|session| &session.actor.name),
        "csrf": session.map(|session| session.csrf.expose()),
        "read": shared.config.read,
        "system": shared.system,
    })
}

/// A name that may stand in logs and histories: visible characters, short; or none.
fn tidy(name: &str) -> Option<String> {
    let visible: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS_MAX).collect();
    let trimmed = visible.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// A proxy that ends TLS for us shows in the page's origin.
fn is_behind_tls(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// Cookies know no ports: the path keeps ours from pages of other servers on this host, though not from their `/api`.
fn set_cookie(shared: &Shared, id: Option<&Secret>, secure: bool) -> String {
    let (value, age) = id.map_or(("", 0), |id| (id.expose(), shared.config.session_age_max.as_secs()));
    let secure = if secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/api; Max-Age={age}; HttpOnly; SameSite=Strict{secure}", shared.cookie)
}

fn with_cookie(body: Json<Value>, cookie: &str) -> Response {
    let mut response = body.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
