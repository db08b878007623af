//! The hidden subcommand of our own binary through which every child is started.
//!
//! It gives up root's privileges where it is told to, *then* asks to be killed when the supervisor ends (a change
//! of user clears that wish), checks that the supervisor still is its parent, and becomes the real program under
//! the same process id. The wish is granted when the spawning *thread* ends: children are spawned from one thread
//! that lives as long as the supervisor.

use crate::inheritance;
use nix::unistd::Pid;
use onefold_core::process::Account;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const EXEC: &str = "--onefold-exec";
const GUARD: &str = "--onefold-guard";

/// The status of a program that could not be run, as a shell has it.
const NOT_RUN: u8 = 127;

/// Does what a hidden subcommand asks, if the command line is one; else answers `None` and has done nothing.
///
/// Call it before anything else in `main`: no thread may run, no runtime may stand.
pub fn entry() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let word = arguments.next()?;
    if word == EXEC {
        Some(exec(arguments))
    } else if word == GUARD {
        Some(crate::guard::watch(std::io::stdin().lock()))
    } else {
        None
    }
}

/// Whether a child lives and dies with the one who starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bond {
    /// It is killed when the process `parent` ends.
    Child {
        /// The supervisor.
        parent: Pid,
    },
    /// It leads a session of its own.
    Session,
}

/// The command that runs `program` through the hidden subcommand; its arguments are added by the caller.
pub(crate) fn command(program: &OsStr, account: Option<&Account>, bond: Bond) -> Command {
    let account =
        account.map_or_else(|| "-".to_owned(), |account| format!("{}:{}", account.uid, account.gid));
    let bond = match bond {
        Bond::Child { parent } => parent.to_string(),
        Bond::Session => "-".to_owned(),
    };
    let mut command = Command::new(own_program());
    command.arg(EXEC).args([account, bond]).arg(program);
    command
}

/// The command that runs the guard (see [`crate::guard`]).
pub(crate) fn guard_command() -> Command {
    let mut command = Command::new(own_program());
    command.arg(GUARD);
    command
}

/// The binary that runs now, even where its file has been replaced by a new build since.
fn own_program() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { std::env::current_exe().unwrap_or(link) }
}

fn exec(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parsed = (|| {
        let account = parse_account(&arguments.next()?)?;
        let parent = parse_parent(&arguments.next()?)?;
        Some((account, parent, arguments.next()?))
    })();
    let Some((account, parent, program)) = parsed else {
        return failed("this subcommand is for the supervisor only");
    };
    let mut command = Command::new(&program);
    // The process id stays the same: where there are sockets to inherit, they are this process' own.
    command.args(arguments).env(inheritance::HEIR, std::process::id().to_string());
    if let Err(error) = drop_privileges(account, &mut command).and_then(|()| bind(parent)) {
        return failed(&format!("prepare {}: {error}", program.display()));
    }
    let error = command.exec();
    failed(&format!("run {}: {error}", program.display()))
}

fn failed(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(NOT_RUN)
}

/// `Some(None)` where the account is to stay as it is.
#[expect(clippy::option_option, reason = "the outer one is the failure to parse, for `?`")]
fn parse_account(text: &OsStr) -> Option<Option<(u32, u32)>> {
    let text = text.to_str()?;
    if text == "-" {
        return Some(None);
    }
    let (uid, gid) = text.split_once(':')?;
    Some(Some((uid.parse().ok()?, gid.parse().ok()?)))
}

#[expect(clippy::option_option, reason = "the outer one is the failure to parse, for `?`")]
fn parse_parent(text: &OsStr) -> Option<Option<Pid>> {
    let text = text.to_str()?;
    if text == "-" { Some(None) } else { Some(Some(Pid::from_raw(text.parse().ok()?))) }
}

#[cfg(target_os = "linux")]
fn drop_privileges(account: Option<(u32, u32)>, _command: &mut Command) -> nix::Result<()> {
    use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
    let Some((uid, gid)) = account else { return Ok(()) };
    setgroups(&[])?;
    setgid(Gid::from_raw(gid))?;
    setuid(Uid::from_raw(uid))
}

/// Without a parent-death signal to lose, `exec` itself may change the account.
#[cfg(not(target_os = "linux"))]
fn drop_privileges(account: Option<(u32, u32)>, command: &mut Command) -> nix::Result<()> {
    if let Some((uid, gid)) = account {
        command.uid(uid).gid(gid);
    }
    Ok(())
}

fn bind(parent: Option<Pid>) -> nix::Result<()> {
    let Some(parent) = parent else { return nix::unistd::setsid().map(|_| ()) };
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    // The parent may have died before the wish was made.
    if nix::unistd::getppid() == parent { Ok(()) } else { Err(nix::Error::ESRCH) }
}
