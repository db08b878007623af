//! nginx with one worker, set up as HAProxy is; it has no active health checks.

use crate::harness::{Pinned, SERVER_CORE, tree, version_of, wait_for_port};
use crate::peer::AccessLog;
use anyhow::{Context as _, Result};
use std::path::Path;

/// Debian installs it outside an ordinary user's path.
const PROGRAM: &str = if cfg!(target_os = "linux") { "/usr/sbin/nginx" } else { "nginx" };

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx(Pinned);

impl Nginx {
    pub(crate) fn start(directory: &Path, port: u16, backends: &[u16], log: AccessLog) -> Result<Self> {
        let path = directory.join(format!("nginx-{port}.conf"));
        std::fs::write(&path, config(directory, port, backends, log))
            .context("write nginx's configuration")?;
        let output = directory.join(format!("nginx-{port}.log"));
        let arguments = ["-e", "stderr", "-p"].map(AsRef::as_ref);
        let arguments = arguments.into_iter().chain([directory.as_os_str(), "-c".as_ref(), path.as_os_str()]);
        let process = Pinned::start(SERVER_CORE, PROGRAM, arguments, &output)?;
        wait_for_port(port)?;
        Ok(Self(process))
    }

    /// The master, which sleeps, and its worker.
    pub(crate) fn pids(&self) -> Vec<u32> {
        tree(self.0.pid())
    }

    pub(crate) fn version() -> String {
        version_of(PROGRAM, "-v")
    }
}

fn config(directory: &Path, port: u16, backends: &[u16], log: AccessLog) -> String {
    let servers =
        backends.iter().map(|backend| format!("server 127.0.0.1:{backend}; ")).collect::<Vec<_>>().concat();
    let log = match log {
        AccessLog::Off => "off".to_owned(),
        AccessLog::On => format!("{}/access-{port}.log combined", directory.display()),
    };
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {}/{kind};\n", directory.display()))
        .concat();
    format!(
        "daemon off;\nworker_processes 1;\npid {directory}/nginx-{port}.pid;\nevents {{ worker_connections 4096; }}\n\
         http {{\n    access_log {log};\n{paths}    keepalive_requests 1000000000;\n\
         \x20   upstream nodes {{ {servers}random two least_conn; keepalive 256; keepalive_requests 1000000000; }}\n\
         \x20   server {{\n        listen 127.0.0.1:{port};\n        location / {{\n\
         \x20           proxy_pass http://nodes;\n            proxy_http_version 1.1;\n\
         \x20           proxy_set_header Connection \"\";\n            proxy_set_header Host $host;\n\
         \x20           proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         \x20           proxy_set_header X-Request-Id $request_id;\n        }}\n    }}\n}}\n",
        directory = directory.display()
    )
}
