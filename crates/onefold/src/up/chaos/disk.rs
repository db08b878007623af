//! A full disk, as a process meets it: it can write to no file any more, by the limit on a file's size.
//!
//! The error is EFBIG and not ENOSPC, and what stands already cannot be written over either: a disk that takes nothing. A
//! true one would need rights that nobody has by default, or fill the disk of all others as well.

use onefold_core::process::{Account, Command, Host, ProcessError};

/// Sets the limits of other processes; a part of every Linux. The limits of another account's processes are for that
/// account to set, whoever we are: in a container root may not.
const PROGRAM: &str = "prlimit";

/// What a process may write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Disk {
    Full,
    Roomy,
}

/// Sets it for a process of this account.
///
/// # Errors
/// Where this system cannot, or the process has ended.
pub(super) async fn set(
    disk: Disk,
    pid: u32,
    account: Option<&Account>,
    host: &dyn Host,
) -> Result<(), ProcessError> {
    let program = host.find(PROGRAM).ok_or_else(|| {
        let fix = "install util-linux; only Linux limits another process";
        ProcessError::unusable(format!("there is no `{PROGRAM}`"), fix)
    })?;
    // The hard limit stays as it is: who lowers it cannot raise it again.
    let limit = match disk {
        Disk::Full => "--fsize=0:",
        Disk::Roomy => "--fsize=unlimited:",
    };
    let command = Command::new(program).args(["--pid", &pid.to_string(), limit]).account(account.cloned());
    let output = host.run(command).await?;
    if output.success { Ok(()) } else { Err(ProcessError::not_yet(output.text.trim())) }
}
