//! Why there is no TLS with a server: what it says first, in the clear, and what it shows then. The client alone finds
//! that its handshake has failed, and tries again for ever.

use super::target::Target;
use crate::Error;
use onefold_core::tls::{Connector, Refused};
use onefold_core::topology::Fault;
use serde::Deserialize;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The setting that names whom a node trusts.
const AUTHORITY: &str = "queue.ca";
/// How long a look at a server may take.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// What is read of a server's greeting.
const GREETING_BYTES_MAX: usize = 16 * 1024;

/// What a server says first, as far as it is about TLS.
#[derive(Deserialize)]
struct Greeting {
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    tls_available: bool,
}

/// That the file of the authority can be used, where one is named.
pub(super) fn check_authority(target: &Target) -> Result<(), Error> {
    if target.ca.is_none() {
        return Ok(());
    }
    connector(target).map(|_| ())
}

/// Says no where trying again cannot help: the first server offers no TLS, or shows a certificate that is not trusted.
pub(super) async fn check(target: &Target) -> Result<(), Error> {
    // Who does not answer now may do so later.
    match tokio::time::timeout(LOOK_MAX, look(target)).await {
        Ok(Some(refused)) => Err(refused),
        Ok(None) | Err(_) => Ok(()),
    }
}

async fn look(target: &Target) -> Option<Error> {
    let first = target.servers.first()?;
    let mut stream = TcpStream::connect((first.host(), first.port())).await.ok()?;
    let said = greeting(&mut stream).await?;
    if !said.tls_required && !said.tls_available {
        let fix = "write nats://, or give the servers a certificate; queue.ca names its authority";
        return target.is_tls.then(|| target.unusable("it speaks no TLS", fix));
    }
    let connector = match connector(target) {
        Ok(connector) => connector,
        Err(unusable) => return Some(unusable),
    };
    match connector.connect(first.host(), stream).await {
        Ok(_) | Err(Refused::Broken(_)) => None,
        Err(Refused::Untrusted { reason, fix }) => {
            Some(target.unusable(format!("it shows a certificate that is not trusted ({reason})"), &fix))
        }
        Err(refused) => Some(target.unusable(format!("it {refused}"), "correct queue.url or queue.ca")),
    }
}

async fn greeting(stream: &mut TcpStream) -> Option<Greeting> {
    let mut line = vec![0; GREETING_BYTES_MAX];
    let length = stream.read(&mut line).await.ok()?;
    let text = line.get(..length)?.strip_prefix(b"INFO ")?;
    let text = text.split(|byte| *byte == b'\r').next()?;
    serde_json::from_slice(text).ok()
}

fn connector(target: &Target) -> Result<Connector, Error> {
    let unusable = |Fault { key, problem, fix }: Fault| target.unusable(format!("{key}: {problem}"), &fix);
    Connector::load(AUTHORITY, target.ca.as_deref(), None).map_err(unusable)
}
