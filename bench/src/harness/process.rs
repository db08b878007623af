//! Programs that run pinned to a core and end with the benchmark.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the measured server runs.
pub(crate) const SERVER_CORE: &str = "0";
/// Where its load, and whatever stands behind it, runs.
pub(crate) const LOAD_CORE: &str = "1";
/// Both, for what is measured whole.
pub(crate) const ALL_CORES: &str = "0,1";

/// A running program, killed when dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    child: Child,
}

impl Pinned {
    /// Starts `program` on these cores; its output goes to `log`.
    pub(crate) fn start<S: AsRef<OsStr>>(
        cores: &str,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
        log: &Path,
    ) -> Result<Self> {
        let log = File::create(log).with_context(|| format!("make {}", log.display()))?;
        let child = on_cores(cores, program.as_ref())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.as_ref().display()))?;
        Ok(Self { child })
    }

    /// Starts what an engine's description says.
    pub(crate) fn launch(cores: &str, command: &onefold_core::process::Command, log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| format!("make {}", log.display()))?;
        let child = on_cores(cores, command.program.as_ref())
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&command.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", command.program.display()))?;
        Ok(Self { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop by SIGTERM, and waits until it has.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<()> {
        Command::new("kill").arg(self.pid().to_string()).status().context("send SIGTERM")?;
        let begun = Instant::now();
        while self.child.try_wait().context("wait for its end")?.is_none() {
            if begun.elapsed() > patience {
                bail!("process {} did not stop within {patience:?}", self.pid());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command on these cores that dies with the benchmark. `setpriv` and `taskset` become the program, so its pid
/// is the child's.
pub(crate) fn on_cores(cores: &str, program: &OsStr) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", cores]).arg(program);
    command
}

/// Moves running processes, with all their threads, to these cores.
pub(crate) fn pin(cores: &str, pids: &[u32]) -> Result<()> {
    for pid in pids {
        let moved = Command::new("taskset")
            .args(["-a", "-c", "-p", cores, &pid.to_string()])
            .stdout(Stdio::null())
            .status()
            .context("run taskset")?;
        if !moved.success() {
            bail!("process {pid} cannot be pinned to core {cores}");
        }
    }
    Ok(())
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("look for a free port")?;
    Ok(listener.local_addr().context("look for a free port")?.port())
}

/// The first of as many ports in a row that were free a moment ago.
pub(crate) fn free_ports(count: u16) -> Result<u16> {
    let is_free =
        |first: &u16| (*first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let mut firsts = (23_000..32_000).step_by(usize::from(count));
    firsts.find(is_free).with_context(|| format!("no {count} ports in a row are free"))
}

/// Waits until somebody listens.
pub(crate) fn wait_for_port(port: u16) -> Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            bail!("nobody listens on {address} after 10 s");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
