//! What a cached redirect costs through the whole system.

use crate::harness::{
    CpuTime, Outcome, Pinned, SERVER_CORE, Settings, Table, Wrk, WrkReport, crate_version, free_port, post,
    wait_for_port,
};
use crate::ours::{Home, Node, System, wait_until_written};
use crate::peer::{AccessLog, Haproxy};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::Client;

const QUESTION: &str = "What does a cached `GET /{code}` cost through the whole system, against HAProxy in front of a \
                        bare axum handler with the same in-process cache?";
const RATE: &str = "requests/s";
const LATENCY: &str = "ms, median";
const PATH_CPU: &str = "CPU µs/request, balancer and app nodes";
const ALL_CPU: &str = "CPU µs/request, all processes";
type Belongs = fn(&Node) -> bool;
/// What the work behind the request costs.
const BEHIND_CPU: [(&str, Belongs); 2] =
    [("CPU µs/request, workers", Node::is_worker), ("CPU µs/request, Postgres", Node::is_engine)];
const CLICKS: &str = "clicks counted/request";
const IDLE_CPU: &str = "% of a core, all processes";
const ONEFOLD: &str = "Onefold";
const BARE: &str = "HAProxy + bare axum";
const CASE: &str = "32 connections";
const IDLE: &str = "idle";
const CONNECTIONS: usize = 32;
const IDLE_WINDOW: Duration = Duration::from_secs(3);
const IDLE_WINDOWS_MAX: u32 = 20;
const CALMER: f64 = 0.9;
const CODE: &str = "abcd1234";
const TARGET: &str = "https://example.com/some/page?of=a&certain=length";

pub(super) async fn run(settings: &Settings) -> Result<Outcome> {
    let directory = TempDir::new().context("make a directory")?;
    let system = Home::new(settings, directory.path())?.up(SERVER_CORE)?;
    let body = format!(r#"{{"url":"{TARGET}","code":"{CODE}"}}"#);
    let created = post(system.port(), "/links", &body)?;
    if created.status != 201 {
        bail!("the link was not created: {}", created.body);
    }
    let bare = Bare::start(directory.path())?;
    let primary = system.primary().await?;
    let idle = idle_share(&system)?;
    let mut table = Table::new()?;
    table.add(IDLE, ONEFOLD, IDLE_CPU, idle * 100.0);
    for round in 0..settings.rounds {
        eprintln!("round {}", round + 1);
        measure_ours(settings, &mut table, &system, &primary, idle).await?;
        measure_bare(settings, &mut table, &bare)?;
    }
    for measure in [RATE, PATH_CPU, ALL_CPU] {
        table.compare((CASE, measure), ONEFOLD, BARE, None)?;
    }
    system.down()?.remove()?;
    let notes = [
        "Everything but wrk shares one core: on our side a balancer, three app nodes, two workers, three Postgres and the \
         supervisor with the settings of `up`; on the other HAProxy with one thread and three app processes.",
        "The bare handler looks into its cache and redirects. Ours also records the click as a job, which a worker \
         writes to the database, keeps trace, metrics and access log, and checks the session.",
        "\"Balancer and app nodes\" is what a request waits for, counted while it is measured. \"All processes\" is \
         counted until the last click is written, less what the idle system uses in that time.",
        "Clicks that do not fit the node's buffer are dropped and counted; a closed loop on one core is where that shows.",
    ];
    let versions = vec![Haproxy::version(), crate_version("axum"), crate_version("quick_cache")];
    Ok(table.outcome(settings, ("system", QUESTION), &notes, versions))
}

fn load(settings: &Settings, port: u16) -> Result<WrkReport> {
    let url = format!("http://127.0.0.1:{port}/{CODE}");
    Wrk { url, connections: CONNECTIONS, duration: settings.window }.run()
}

async fn measure_ours(
    settings: &Settings,
    table: &mut Table,
    system: &System,
    primary: &Client,
    idle: f64,
) -> Result<()> {
    let nodes = system.nodes()?;
    let path = || used_by(&nodes, Node::is_on_request_path);
    let (clicks, begun) = (clicks(primary).await?, Instant::now());
    let (path_before, all_before) = (path(), system.cpu());
    let behind_before = BEHIND_CPU.map(|(_, belongs)| used_by(&nodes, belongs));
    let report = load(settings, system.port()).context("Onefold")?;
    let path_used = (path() - path_before).seconds;
    wait_until_written(primary).await?;
    let all_used = (system.cpu() - all_before).seconds - idle * begun.elapsed().as_secs_f64();
    let requests = report.requests as f64;
    table.add(CASE, ONEFOLD, RATE, report.rate());
    table.add(CASE, ONEFOLD, LATENCY, report.median_ms);
    table.add(CASE, ONEFOLD, PATH_CPU, path_used * 1e6 / requests);
    table.add(CASE, ONEFOLD, ALL_CPU, all_used * 1e6 / requests);
    for ((measure, belongs), before) in BEHIND_CPU.into_iter().zip(behind_before) {
        let used = used_by(&nodes, belongs) - before;
        table.add(CASE, ONEFOLD, measure, used.seconds * 1e6 / requests);
    }
    table.add(CASE, ONEFOLD, CLICKS, (self::clicks(primary).await? - clicks) / requests);
    Ok(())
}

fn used_by(nodes: &[Node], belongs: Belongs) -> CpuTime {
    let pids: Vec<u32> = nodes.iter().filter(|node| belongs(node)).flat_map(Node::pids).collect();
    CpuTime::of(&pids)
}

fn measure_bare(settings: &Settings, table: &mut Table, bare: &Bare) -> Result<()> {
    let before = CpuTime::of(&bare.pids());
    let report = load(settings, bare.port).context("HAProxy and axum")?;
    let cpu_us = (CpuTime::of(&bare.pids()) - before).seconds * 1e6 / report.requests as f64;
    table.add(CASE, BARE, RATE, report.rate());
    table.add(CASE, BARE, LATENCY, report.median_ms);
    table.add(CASE, BARE, PATH_CPU, cpu_us);
    table.add(CASE, BARE, ALL_CPU, cpu_us);
    Ok(())
}

/// The clicks written so far.
async fn clicks(primary: &Client) -> Result<f64> {
    let row =
        primary.query_one("select count(*)::float8 from clicks", &[]).await.context("count the clicks")?;
    Ok(row.get(0))
}

/// The share of a core that the system uses with nothing to do: of the first window that is not clearly calmer than the one
/// before it, when what its start has left behind is done.
fn idle_share(system: &System) -> Result<f64> {
    let mut before = share(system);
    for _ in 0..IDLE_WINDOWS_MAX {
        let now = share(system);
        if now >= before * CALMER {
            return Ok(now);
        }
        before = now;
    }
    bail!("the system calms down still after {IDLE_WINDOWS_MAX} times {IDLE_WINDOW:?}")
}

fn share(system: &System) -> f64 {
    let (begun, before) = (Instant::now(), system.cpu());
    std::thread::sleep(IDLE_WINDOW);
    (system.cpu() - before).seconds / begun.elapsed().as_secs_f64()
}

/// The peer: HAProxy and three processes of a bare application.
struct Bare {
    haproxy: Haproxy,
    apps: Vec<Pinned>,
    port: u16,
}

impl Bare {
    fn start(directory: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let (mut apps, mut ports) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let port = free_port()?;
            let log = directory.join(format!("app-{port}.log"));
            apps.push(Pinned::start(
                SERVER_CORE,
                &program,
                ["serve", "app", &port.to_string(), CODE, TARGET],
                &log,
            )?);
            wait_for_port(port)?;
            ports.push(port);
        }
        let port = free_port()?;
        let haproxy = Haproxy::start(directory, port, &ports, AccessLog::On)?;
        Ok(Self { haproxy, apps, port })
    }

    fn pids(&self) -> Vec<u32> {
        self.apps.iter().map(Pinned::pid).chain([self.haproxy.pid()]).collect()
    }
}
