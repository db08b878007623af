//! Debian's Prometheus as a receiver of remote write, with the storage that it has by default.

use crate::harness::{Pinned, SERVER_CORE, disk_bytes, get, version_of};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running Prometheus.
#[derive(Debug)]
pub(crate) struct Prometheus {
    process: Pinned,
    data: PathBuf,
}

impl Prometheus {
    pub(crate) fn start(directory: &Path, port: u16) -> Result<Self> {
        let (configuration, data) = (directory.join("prometheus.yml"), directory.join("data"));
        std::fs::write(&configuration, "global: {}\n").context("write Prometheus' configuration")?;
        let arguments = [
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--web.enable-remote-write-receiver".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        let process = Pinned::start(SERVER_CORE, "prometheus", arguments, &directory.join("log"))?;
        let begun = Instant::now();
        while !get(port, "/-/ready").is_ok_and(|answer| answer.status == 200) {
            if begun.elapsed() > PATIENCE {
                bail!("Prometheus is not ready after {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { process, data })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Bytes for each sample in the blocks that it has written so far.
    pub(crate) fn block_bytes(&self) -> Result<f64> {
        let (mut bytes, mut samples) = (0.0, 0.0);
        for entry in std::fs::read_dir(&self.data).context("list Prometheus' blocks")? {
            let path = entry.context("list Prometheus' blocks")?.path();
            let Ok(meta) = std::fs::read(path.join("meta.json")) else { continue };
            let meta: serde_json::Value =
                serde_json::from_slice(&meta).context("read a block's meta.json")?;
            samples += meta["stats"]["numSamples"].as_f64().context("read a block's meta.json")?;
            bytes += disk_bytes(&path)?;
        }
        Ok(bytes / samples)
    }

    pub(crate) fn version() -> String {
        version_of("prometheus", "--version")
    }
}
