//! How a node enters: a user, and the token that etcd gives for it, renewed when it ends.

use super::channel::{Channel, Failure};
use super::client::CallError;
use super::frames::framed;
use super::wire::{Authenticate, Authenticated, Rpc as _};
use arc_swap::ArcSwapOption;
use http::header::HeaderValue;
use onefold_core::Secret;
use prost::Message as _;
use std::sync::Arc;
use tokio::sync::Mutex;

/// One node's entry.
#[derive(Debug)]
pub(super) struct Entry {
    user: Option<(String, Secret)>,
    /// An empty one where etcd has no users.
    token: ArcSwapOption<HeaderValue>,
    /// Held while one asks for a token, so that many callers ask once.
    asking: Mutex<()>,
}

impl Entry {
    pub(super) fn new(user: Option<(String, Secret)>) -> Self {
        Self { user, token: ArcSwapOption::empty(), asking: Mutex::new(()) }
    }

    pub(super) fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// Whether etcd has asked who we are, and knows us now.
    pub(super) fn has_token(&self) -> bool {
        self.token.load().as_ref().is_some_and(|token| !token.is_empty())
    }

    /// The token to ask with, if etcd wants one of us.
    pub(super) async fn token(&self, channel: &Channel) -> Result<Option<Arc<HeaderValue>>, CallError> {
        let Some((name, password)) = &self.user else { return Ok(None) };
        if let Some(token) = self.token.load_full() {
            return Ok(Some(token).filter(|token| !token.is_empty()));
        }
        let _one = self.asking.lock().await;
        if let Some(token) = self.token.load_full() {
            return Ok(Some(token).filter(|token| !token.is_empty()));
        }
        let request = Authenticate { name: name.clone(), password: password.expose().to_owned() };
        let token = match channel.ask(Authenticate::PATH, framed(&request), None).await {
            Ok(answer) => {
                Authenticated::decode(answer).map_err(|error| CallError::Away(error.to_string()))?.token
            }
            // Whoever has no users lets everybody in.
            Err(Failure::Refused(refusal)) if refusal.says("authentication is not enabled") => String::new(),
            Err(Failure::Refused(refusal)) if refusal.is_for_later() => {
                channel.retire();
                return Err(CallError::Away(refusal.message));
            }
            Err(Failure::Refused(refusal)) => return Err(CallError::Refused(refusal)),
            Err(Failure::Unsent(reason) | Failure::Lost(reason)) => {
                channel.retire();
                return Err(CallError::Away(reason));
            }
        };
        let mut token = HeaderValue::try_from(token).map_err(|error| CallError::Away(error.to_string()))?;
        token.set_sensitive(true);
        let token = Arc::new(token);
        self.token.store(Some(token.clone()));
        Ok(Some(token).filter(|token| !token.is_empty()))
    }

    /// Forgets whatever token there is.
    pub(super) fn forget(&self) {
        self.token.store(None);
    }

    /// Forgets a token that has ended, unless somebody has a new one already.
    pub(super) fn forget_token(&self, ended: Option<&Arc<HeaderValue>>) {
        let current = self.token.load();
        let is_current = match (current.as_ref(), ended) {
            (Some(current), Some(ended)) => Arc::ptr_eq(current, ended),
            // An empty one, from when etcd had no users.
            (Some(current), None) => current.is_empty(),
            (None, _) => false,
        };
        if is_current {
            self.forget();
        }
    }
}
