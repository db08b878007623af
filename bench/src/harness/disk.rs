//! What files take on disk.

use anyhow::{Context as _, Result};
use std::path::Path;

/// All files in a directory, by their length; memory that an engine shares through a file is none.
pub(crate) fn disk_bytes(directory: &Path) -> Result<f64> {
    let mut bytes = 0.0;
    for entry in std::fs::read_dir(directory).context("list a directory")? {
        let entry = entry.context("list a directory")?;
        let metadata = entry.metadata().context("look at a file")?;
        let shared = entry.file_name().to_string_lossy().ends_with("-shm");
        bytes += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else if shared {
            0.0
        } else {
            metadata.len() as f64
        };
    }
    Ok(bytes)
}
