//! What a request costs in the balancer.

use crate::harness::{
    CpuTime, Goal, LOAD_CORE, Outcome, Pinned, SERVER_CORE, Settings, Table, Wrk, free_port, tree,
    wait_for_port,
};
use crate::peer::{AccessLog, Haproxy, Nginx};
use anyhow::{Context as _, Result};
use std::path::Path;
use tempfile::TempDir;

const QUESTION: &str = "What does a request cost in the balancer, against HAProxy and nginx?";
const CPU: &str = "CPU µs/request";
const RATE: &str = "requests/s";
const LATENCY: &str = "ms, median";
const ONEFOLD: &str = "Onefold";
const HAPROXY: &str = "HAProxy";
const NGINX: &str = "nginx";

struct Case {
    name: &'static str,
    connections: usize,
    log: AccessLog,
}

const CASES: [Case; 3] = [
    Case { name: "32 connections", connections: 32, log: AccessLog::Off },
    Case { name: "256 connections", connections: 256, log: AccessLog::Off },
    Case { name: "32 connections, access log", connections: 32, log: AccessLog::On },
];

/// A proxy that serves, killed when dropped.
struct Proxy {
    name: &'static str,
    log: AccessLog,
    port: u16,
    pids: Vec<u32>,
    _process: Box<dyn std::any::Any>,
}

pub(super) fn run(settings: &Settings) -> Result<Outcome> {
    let directory = TempDir::new().context("make a directory")?;
    let (_backends, ports) = backends(directory.path())?;
    let mut proxies = Vec::new();
    for log in [AccessLog::Off, AccessLog::On] {
        proxies.extend(start_all(directory.path(), &ports, log)?);
    }
    let mut table = Table::new()?;
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        for case in CASES {
            for proxy in proxies.iter().filter(|proxy| proxy.log == case.log) {
                measure(settings, &mut table, &case, proxy)?;
            }
        }
    }
    for case in CASES {
        table.compare((case.name, CPU), ONEFOLD, HAPROXY, Some(Goal::AtMost(1.0)))?;
        table.compare((case.name, CPU), ONEFOLD, NGINX, None)?;
        table.compare((case.name, RATE), ONEFOLD, HAPROXY, None)?;
        table.compare((case.name, RATE), ONEFOLD, NGINX, None)?;
    }
    let notes = [
        "GET, answers of 200 bytes, keep-alive. Each proxy has one thread on a core of its own; wrk and the three \
         backends (one thread, a bare loop) have the other. CPU is user and system time of the proxy's processes, from \
         /proc/PID/stat.",
        "All three choose the better of two random backends, and set X-Forwarded-For and a request id. Ours and HAProxy \
         check health; ours also joins the trace, makes one decision for it, and holds the request against its rules of \
         hygiene.",
        "Access log: off by each one's setting, or on, to a file: HAProxy's httplog, nginx's combined unbuffered, ours \
         as JSON lines with the trace's id. Everything else of our telemetry is as in production.",
    ];
    let versions = vec![Haproxy::version(), Nginx::version()];
    Ok(table.outcome(settings, ("balancer", QUESTION), &notes, versions))
}

fn backends(directory: &Path) -> Result<(Pinned, [u16; 3])> {
    let ports = [free_port()?, free_port()?, free_port()?];
    let program = std::env::current_exe().context("find this program")?;
    let arguments =
        ["serve".to_owned(), "backends".to_owned()].into_iter().chain(ports.map(|port| port.to_string()));
    let process = Pinned::start(LOAD_CORE, program, arguments, &directory.join("backends.log"))?;
    for port in ports {
        wait_for_port(port)?;
    }
    Ok((process, ports))
}

fn start_all(directory: &Path, backends: &[u16], log: AccessLog) -> Result<[Proxy; 3]> {
    let port = free_port()?;
    let onefold = start_ours(directory, port, backends, log)?;
    let onefold = Proxy { name: ONEFOLD, log, port, pids: tree(onefold.pid()), _process: Box::new(onefold) };
    let port = free_port()?;
    let haproxy = Haproxy::start(directory, port, backends, log)?;
    let haproxy = Proxy { name: HAPROXY, log, port, pids: vec![haproxy.pid()], _process: Box::new(haproxy) };
    let port = free_port()?;
    let nginx = Nginx::start(directory, port, backends, log)?;
    let nginx = Proxy { name: NGINX, log, port, pids: nginx.pids(), _process: Box::new(nginx) };
    Ok([onefold, haproxy, nginx])
}

fn start_ours(directory: &Path, port: u16, backends: &[u16], log: AccessLog) -> Result<Pinned> {
    let program = std::env::current_exe().context("find this program")?;
    let mut arguments = vec!["serve".to_owned(), "balancer".to_owned(), port.to_string()];
    arguments.extend(backends.iter().map(u16::to_string));
    if log == AccessLog::On {
        arguments.push("--access-log".to_owned());
    }
    let process =
        Pinned::start(SERVER_CORE, program, arguments, &directory.join(format!("onefold-{port}.log")))?;
    wait_for_port(port)?;
    Ok(process)
}

fn measure(settings: &Settings, table: &mut Table, case: &Case, proxy: &Proxy) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/abcd1234", proxy.port);
    let wrk = Wrk { url, connections: case.connections, duration: settings.window };
    let before = CpuTime::of(&proxy.pids);
    let report = wrk.run().with_context(|| proxy.name)?;
    let used = CpuTime::of(&proxy.pids) - before;
    table.add(case.name, proxy.name, CPU, used.seconds * 1e6 / report.requests as f64);
    table.add(case.name, proxy.name, RATE, report.rate());
    table.add(case.name, proxy.name, LATENCY, report.median_ms);
    Ok(())
}
