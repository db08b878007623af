//! Active checks: `GET /readyz` at a node's admin address.
//!
//! A node that says 503 is out at once, for it knows. One that says nothing is out after several checks in a row,
//! for the silence may be the network's; then what it has in hand and others may do, they do.

use super::node::{Endpoint, Readiness};
use onefold_core::NodeName;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How checks are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) failures: u32,
}

/// Checks in a row without an answer, by node.
#[derive(Debug, Default)]
pub(crate) struct Silent(HashMap<NodeName, u32>);

impl Silent {
    /// What the answer, or its absence, says of the node; `None` where it is too early to say.
    fn judge(&mut self, node: &NodeName, answer: Option<u16>, failures: u32) -> Option<Readiness> {
        let Some(status) = answer else {
            let silent = self.0.entry(node.clone()).or_default();
            *silent = silent.saturating_add(1);
            return (*silent >= failures).then_some(Readiness::Unready);
        };
        self.0.remove(node);
        Some(if status == 200 { Readiness::Ready } else { Readiness::Unready })
    }
}

/// Asks all at once, and answers what is known now.
pub(crate) async fn all(
    endpoints: &[Arc<Endpoint>],
    checks: Checks,
    silent: &mut Silent,
) -> Vec<(Arc<Endpoint>, Readiness)> {
    let asked = endpoints.iter().map(|endpoint| async move {
        let answer = tokio::time::timeout(checks.timeout, status(endpoint.member.admin)).await;
        (endpoint, answer.ok().and_then(Result::ok))
    });
    let answers = futures_util::future::join_all(asked).await;
    silent.0.retain(|name, _| endpoints.iter().any(|endpoint| endpoint.member.name == *name));
    // Where nobody answers, it may be this machine that stalls.
    let do_others_answer = answers.iter().any(|(_, answer)| *answer == Some(200));
    let judged = answers.into_iter().filter_map(|(endpoint, answer)| {
        let readiness = silent.judge(&endpoint.member.name, answer, checks.failures)?;
        if answer.is_none() && do_others_answer {
            endpoint.falls_silent();
        }
        Some((endpoint.clone(), readiness))
    });
    judged.collect()
}

async fn status(admin: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // "HTTP/1.1 200": the status line's first twelve bytes say all.
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    let digits = start.strip_prefix(b"HTTP/1.1 ").or_else(|| start.strip_prefix(b"HTTP/1.0 "));
    let status = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_declines_is_out_at_once_and_a_silent_one_later() {
        let mut silent = Silent::default();
        let node = "app-a".parse().unwrap();
        assert_eq!(silent.judge(&node, Some(503), 2), Some(Readiness::Unready));
        assert_eq!(silent.judge(&node, Some(200), 2), Some(Readiness::Ready));
        assert_eq!(silent.judge(&node, None, 2), None);
        assert_eq!(silent.judge(&node, None, 2), Some(Readiness::Unready));
        assert_eq!(silent.judge(&node, Some(200), 2), Some(Readiness::Ready));
        assert_eq!(silent.judge(&node, None, 2), None, "an answer begins the count anew");
    }
}
