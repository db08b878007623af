//! How a server gets its data directory.
//!
//! A new cluster is copies of one template, made before any of them has run: they share the system identifier and
//! stand at the same WAL position, so that the replicas can follow the primary at once. Once the cluster has
//! lived, a replica that has lost its data gets it from the primary.
//!
//! A copy is written back by the kernel in its own time (half a minute): until then a new cluster outlives the end
//! of any process, but not of the machine.

use super::cluster::Shared;
use super::credentials::REPLICATION;
use super::server::Server;
use super::settings;
use super::template::{Template, remove, succeeded};
use onefold_core::process::{Command, Host, Output, ProcessError};
use std::path::{Path, PathBuf};

/// Whether the primary of the cluster in `home` has run.
pub(crate) fn has_lived(home: &Path) -> bool {
    mark(home).exists()
}

/// Notes that the primary runs, with its passwords and slots.
pub(crate) fn note_life(shared: &Shared) -> Result<(), ProcessError> {
    let mark = mark(&shared.plan.site.home);
    std::fs::write(&mark, "").map_err(|error| ProcessError::file("write", &mark, &error))?;
    shared.lived.send_replace(true);
    Ok(())
}

/// Removes the copies of replicas that the topology no longer has: the primary keeps no WAL for them, so that they
/// could not follow again. What is no replica's is left alone.
pub(crate) fn forget_leavers(shared: &Shared) -> Result<(), ProcessError> {
    let names = shared.names();
    for entry in std::fs::read_dir(&shared.plan.site.home).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let stays = names.iter().any(|kept| kept.as_str() == name);
        if name.starts_with("postgres-") && !stays && entry.path().join("standby.signal").exists() {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn mark(home: &Path) -> PathBuf {
    home.join("lived")
}

/// Makes the data directory of a server that has none.
pub(crate) async fn give(server: &Server, host: &dyn Host) -> Result<(), ProcessError> {
    let shared = server.shared();
    let making = server.data().with_extension("making");
    remove(&making)?;
    if !*shared.lived.borrow() {
        copy(&shared.template(host).await?, &making, shared, host).await?;
    } else if server.is_primary() {
        return Err(ProcessError::unusable(
            format!("{} is gone, while the cluster has lived", server.data().display()),
            "restore it from a backup, or begin anew after `make clean-state`",
        ));
    } else {
        copy_from_primary(server, &making, host).await?;
    }
    if !server.is_primary() {
        touch(&making.join("standby.signal"))?;
    }
    std::fs::rename(&making, server.data()).map_err(|error| ProcessError::file("rename", &making, &error))
}

async fn copy(template: &Template, to: &Path, shared: &Shared, host: &dyn Host) -> Result<(), ProcessError> {
    let quick: &[&str] = if cfg!(target_os = "linux") { &["-a", "--reflink=auto"] } else { &["-Rpc"] };
    if run_copy(quick, template, to, shared, host).await?.success {
        return include_shared_settings(to);
    }
    // A `cp` that knows nothing of clones; or a full disk, which it will say again.
    remove(to)?;
    succeeded("cp", &run_copy(&["-Rp"], template, to, shared, host).await?)?;
    include_shared_settings(to)
}

async fn run_copy(
    options: &[&str],
    template: &Template,
    to: &Path,
    shared: &Shared,
    host: &dyn Host,
) -> Result<Output, ProcessError> {
    let command = Command::new("cp").args(options).arg(&template.data).arg(to);
    host.run(command.account(shared.plan.site.account.clone())).await
}

async fn copy_from_primary(server: &Server, to: &Path, host: &dyn Host) -> Result<(), ProcessError> {
    server.renew_slot().await?;
    let shared = server.shared();
    let from = shared.way_to_primary(server.index(), REPLICATION);
    let command = shared
        .binaries
        .command("pg_basebackup")
        .args(["--checkpoint=fast", "--wal-method=stream", "--no-sync", "--dbname", &from, "--pgdata"])
        .arg(to)
        .account(shared.plan.site.account.clone());
    let output = host.run(command).await?;
    // The primary may be starting at the same time.
    if output.success { Ok(()) } else { Err(ProcessError::not_yet(output.text.trim())) }
}

/// The settings of `initdb` come first, ours win over them, and the user's below win over ours.
fn include_shared_settings(data: &Path) -> Result<(), ProcessError> {
    use std::io::Write as _;
    let path = data.join("postgresql.conf");
    let append = || {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path)?;
        writeln!(file, "\ninclude_if_exists = '{}'", settings::FILE)
    };
    append().map_err(|error| ProcessError::file("write", &path, &error))
}

pub(crate) fn touch(path: &Path) -> Result<(), ProcessError> {
    std::fs::write(path, "").map_err(|error| ProcessError::file("write", path, &error))
}
