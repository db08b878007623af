//! Whole systems of real processes under a real supervisor (`examples/supervise.rs`).

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use onefold_supervisor::status::{self, Phase, Status};
use onefold_supervisor::{Error, down, state};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Ready at once, alive until it is told to stop, when it says so.
const SOUND: &str = "trap 'echo stop $0 >> order; exit 0' TERM; touch $READY; while :; do sleep 0.02; done";

fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("examples/supervise");
    assert!(path.exists(), "{} is built by `cargo test` and `cargo nextest run`", path.display());
    path
}

/// A state directory that is gone with the test, and its processes with it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn start(&self, scripts: &[[&str; 3]]) -> System {
        System::start(&self.state(), scripts)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let gone = wait_until(|| status::read(&self.state()).is_err());
        assert!(gone || std::thread::panicking(), "the supervisor has gone");
        // The tests that make no state have none to remove.
        let _ = state::remove(&self.state());
    }
}

struct System {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    state: PathBuf,
}

impl System {
    fn start(state: &Path, scripts: &[[&str; 3]]) -> Self {
        let mut child = Command::new(program())
            .arg(state)
            .args(scripts.iter().flatten())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines, seen: Vec::new(), state: state.to_owned() }
    }

    /// Waits for an event line that holds `part`, and answers it.
    fn hears(&mut self, part: &str) -> String {
        if let Some(line) = self.seen.iter().find(|line| line.contains(part)) {
            return line.clone();
        }
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never heard `{part}`, but {:?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits until all is ready, in the status too.
    fn is_ready(&mut self) {
        self.hears("all ready");
        assert!(wait_until(|| self.status().state == Phase::Ready));
    }

    fn status(&self) -> Status {
        status::read(&self.state).unwrap()
    }

    fn pid_of(&self, name: &str) -> u32 {
        let status = self.status();
        let process = status.processes.iter().find(|process| process.name.as_str() == name).unwrap();
        process.pid.unwrap()
    }

    fn stop(mut self) {
        signal(self.child.id(), "TERM");
        self.hears("all stopped");
        assert!(self.child.wait().unwrap().success());
    }

    /// The exit status and what stderr holds, of a system that ends by itself.
    fn failure(mut self) -> (i32, String) {
        let mut error = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut error).unwrap();
        (self.child.wait().unwrap().code().unwrap(), error)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[expect(clippy::disallowed_methods, reason = "waits for a state with a deadline")]
fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let until = std::time::Instant::now() + PATIENCE;
    while !holds() {
        if std::time::Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// The processes that mention `mark` in their command line.
fn marked(mark: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    })
    .collect()
}

#[test]
fn processes_start_after_their_predecessors_and_stop_before_them() {
    let home = Home::new();
    let sound = |name: &str| format!("set -- ; echo start {name} >> order; {}", SOUND.replace("$0", name));
    let (db, app, lb) = (sound("db"), sound("app"), sound("lb"));
    let mut system = home.start(&[["lb", "app", &lb], ["db", "", &db], ["app", "db", &app]]);
    system.is_ready();
    let status = system.status();
    assert_eq!(status.state, Phase::Ready);
    assert!(status.processes.iter().all(|process| process.state == Phase::Ready && process.restarts == 0));
    let pids: Vec<u32> = status.processes.iter().filter_map(|process| process.pid).collect();
    assert_eq!(pids.len(), 3);
    system.stop();
    let order = std::fs::read_to_string(home.state().join("order")).unwrap();
    assert_eq!(order, "start db\nstart app\nstart lb\nstop lb\nstop app\nstop db\n");
    assert!(pids.into_iter().all(|pid| !alive(pid)));
    assert!(matches!(status::read(&home.state()), Err(Error::NotRunning(_))));
}

#[test]
fn a_watcher_starts_without_waiting_and_stops_after_those_it_outlives() {
    let home = Home::new();
    let late = format!("while [ ! -e watched ]; do sleep 0.02; done; {}", SOUND.replace("$0", "app"));
    let watcher = format!("touch watched; {}", SOUND.replace("$0", "watcher"));
    let mut system = home.start(&[["app", "", &late], ["watcher", "~app", &watcher]]);
    system.is_ready();
    system.stop();
    let order = std::fs::read_to_string(home.state().join("order")).unwrap();
    assert_eq!(order, "stop app\nstop watcher\n");
}

#[test]
fn the_dead_is_restarted_and_what_it_left_behind_is_gone() {
    let home = Home::new();
    let mark = format!("60.{}", std::process::id());
    let script = format!("setsid sleep {mark} & touch $READY; wait; sleep 60");
    let mut system = home.start(&[["app", "", &script]]);
    system.is_ready();
    assert!(wait_until(|| marked(&mark).len() == 3), "the supervisor, the script and its child run");
    let (first, mut before) = (system.pid_of("app"), marked(&mark));
    before.retain(|pid| *pid != system.child.id());
    signal(first, "KILL");
    let died = system.hears("died");
    assert!(died.starts_with("app died (SIGKILL); it is restarted in"), "{died}");
    system.hears("app is back");
    assert!(before.into_iter().all(|pid| !alive(pid)), "no process of the first life is left");
    assert!(wait_until(|| system.status().processes[0].state == Phase::Ready));
    assert_eq!(system.status().processes[0].restarts, 1);
    assert_ne!(system.pid_of("app"), first);
    system.seen.clear();
    signal(system.child.id(), "TERM");
    system.hears("all stopped");
    assert!(wait_until(|| marked(&mark).is_empty()));
}

#[test]
fn a_crash_loop_shows_the_end_of_the_log() {
    let home = Home::new();
    let script = "touch $READY; echo the disk is on fire >&2; sleep 0.05; exit 7";
    let mut system = home.start(&[["app", "", script]]);
    system.is_ready();
    let line = system.hears("times in a row");
    assert!(line.contains("logs/app.log"), "{line}");
    system.hears("the disk is on fire");
    assert!(wait_until(|| system.status().processes[0].restarts >= 5));
    system.stop();
}

#[test]
fn a_start_that_fails_leaves_nothing_and_says_why() {
    let home = Home::new();
    let broken = "echo no such key: databse.url >&2; exit 2";
    let sound = format!("{SOUND} # mark-{}", std::process::id());
    let system = home.start(&[["db", "", &sound], ["app", "db", broken]]);
    let (status, error) = system.failure();
    assert_eq!(status, 2, "{error}");
    assert!(error.contains("app does not start (exit status 2)") && error.contains("databse.url"), "{error}");
    assert!(marked(&format!("# mark-{}", std::process::id())).is_empty());

    let system = home.start(&[["app", "", "echo out of luck; exit 1"]]);
    let (status, error) = system.failure();
    assert_eq!(status, 1, "{error}");
    assert!(error.contains("out of luck"), "{error}");
}

#[test]
fn nothing_outlives_a_killed_supervisor() {
    let home = Home::new();
    let mark = format!("# mark-{}", std::process::id());
    let deaf = format!("trap '' TERM INT HUP; touch $READY; while :; do sleep 0.05; done {mark}");
    let mut system = home.start(&[["a", "", &deaf], ["b", "a", &deaf]]);
    system.is_ready();
    assert_eq!(marked(&mark).len(), 3);
    signal(system.child.id(), "KILL");
    system.child.wait().unwrap();
    assert!(wait_until(|| marked(&mark).is_empty()));
    let mut again = home.start(&[["a", "", SOUND]]);
    again.is_ready();
    again.stop();
}

#[test]
fn who_does_not_stop_is_killed_after_its_grace() {
    let home = Home::new();
    let deaf = "trap '' TERM; touch $READY; while :; do sleep 0.05; done";
    let mut system = home.start(&[["app", "", deaf]]);
    system.is_ready();
    let pid = system.pid_of("app");
    signal(system.child.id(), "TERM");
    system.hears("app did not stop within 0.5 s and was killed");
    system.hears("all stopped");
    assert!(!alive(pid));
}

#[test]
fn a_second_up_is_refused_and_names_the_first() {
    let home = Home::new();
    let mut system = home.start(&[["app", "", SOUND]]);
    system.is_ready();
    let (status, error) = home.start(&[["app", "", SOUND]]).failure();
    assert_eq!(status, 2);
    assert!(error.contains(&format!("in use by process {}", system.child.id())), "{error}");
    assert!(matches!(state::remove(&home.state()), Err(Error::InUse { .. })));
    system.stop();
}

#[tokio::test]
async fn a_detached_system_runs_until_down() {
    let home = Home::new();
    let state = home.state();
    let up = |script: &str| {
        let output =
            Command::new(program()).arg("--detach").arg(&state).args(["app", "", script]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, output) = up(SOUND);
    assert_eq!(status, 0, "{output}");
    assert!(output.contains("all ready"), "{output}");
    assert_eq!(up(SOUND).0, 2, "a second one is refused");
    let pids: Vec<u32> = status::read(&state).unwrap().processes.iter().filter_map(|p| p.pid).collect();
    let pid = down(&state).await.unwrap();
    assert!(wait_until(|| !alive(pid)));
    assert!(pids.into_iter().all(|pid| !alive(pid)));
    assert!(matches!(down(&state).await, Err(Error::NotRunning(_))));

    let (status, output) = up("echo no luck; exit 2");
    assert_eq!(status, 2);
    assert!(output.contains("no luck"), "{output}");
}
