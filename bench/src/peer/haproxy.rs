//! HAProxy with one thread, set up to do what Onefold's balancer does: two random choices, health checks,
//! `X-Forwarded-For`, a request id.

use crate::harness::{Pinned, SERVER_CORE, version_of, wait_for_port};
use crate::peer::AccessLog;
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::path::Path;

/// A running HAProxy.
#[derive(Debug)]
pub(crate) struct Haproxy(Pinned);

impl Haproxy {
    pub(crate) fn start(directory: &Path, port: u16, backends: &[u16], log: AccessLog) -> Result<Self> {
        let path = directory.join(format!("haproxy-{port}.cfg"));
        std::fs::write(&path, config(port, backends, log)).context("write HAProxy's configuration")?;
        let output = directory.join(format!("haproxy-{port}.log"));
        let process = Pinned::start(
            SERVER_CORE,
            "haproxy",
            ["-db".as_ref(), "-f".as_ref(), path.as_os_str()],
            &output,
        )?;
        wait_for_port(port)?;
        Ok(Self(process))
    }

    /// `-db` keeps it one process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    pub(crate) fn version() -> String {
        version_of("haproxy", "-v")
    }
}

fn config(port: u16, backends: &[u16], log: AccessLog) -> String {
    let (target, lines) = match log {
        AccessLog::Off => ("", ""),
        AccessLog::On => ("    log stdout format raw local0\n", "    log global\n    option httplog\n"),
    };
    let mut text = format!(
        "global\n    nbthread 1\n    maxconn 4096\n{target}\n\
         defaults\n    mode http\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n\
         {lines}    option forwardfor\n    unique-id-format %[uuid()]\n    unique-id-header x-request-id\n\n\
         frontend clients\n    bind 127.0.0.1:{port}\n    default_backend nodes\n\n\
         backend nodes\n    balance random(2)\n    option httpchk GET /readyz\n    http-check expect status 200-399\n"
    );
    for (number, backend) in backends.iter().enumerate() {
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "    server node-{number} 127.0.0.1:{backend} check inter 2s");
    }
    text
}
