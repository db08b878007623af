//! The observer of a system that `up` runs, as commands ask it: with the token that lies in the state directory, and
//! through TLS where the console has it.

use super::exit::Failure;
use super::process;
use crate::probe;
use crate::role::observer::home;
use crate::topology::Topology;
use crate::up::EFFECTIVE;
use http::{Method, Request, header};
use onefold_console::{Access, Config, Connector, Tls, Tokens};
use onefold_core::{Role, Secret};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

/// Its API.
pub(super) struct Observer {
    pub(super) address: SocketAddr,
    token: Secret,
    tls: Option<Connector>,
}

/// The console's settings in the system that `up` runs on this state directory.
pub(super) fn console(state: &Path) -> Result<Config, Failure> {
    Ok(Topology::console(&state.join(EFFECTIVE))?)
}

impl Observer {
    /// The one that runs on this state directory.
    pub(super) fn of(state: &Path) -> Result<Self, Failure> {
        let address = process(state, Role::Observer)?.address;
        let tokens =
            Tokens::open(&home::tokens(state)).map_err(|error| Failure::Failed(error.to_string()))?;
        let tls = console(state)?.tls.as_ref().map(Tls::connector).transpose()?;
        Ok(Self { address, token: tokens.get(Access::Operate).clone(), tls })
    }

    /// What it answers; a refusal is its own words.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()));
        let asked = async {
            let stream = TcpStream::connect(self.address).await?;
            match &self.tls {
                None => probe::exchange(stream, self.address, request, String::new()).await,
                Some(tls) => {
                    probe::exchange(tls.connect(stream).await?, self.address, request, String::new()).await
                }
            }
        };
        let answer = probe::in_time(PATIENCE, self.address, asked).await;
        let (status, body) = answer.map_err(Failure::Failed)?;
        let value: Value = serde_json::from_str(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        let detail = value["detail"].as_str().unwrap_or("no reason is given");
        Err(Failure::Failed(format!("the observer refuses {path} ({status}): {detail}")))
    }
}
