//! A supervisor of shell scripts: the smallest system, and what the tests of this crate run.
//!
//! `supervise [--detach] STATE NAME AFTER SCRIPT [NAME AFTER SCRIPT …]`: AFTER names predecessors, separated by commas;
//! `~NAME` stands for one that this process outlives. A process is ready once it has made the file
//! `STATE/run/NAME.ready`.

use onefold_core::process::{BoxFuture, Command, Process, ProcessError, Stop, StopSignal};
use onefold_core::{Clock, NodeName, Zone};
use onefold_supervisor::{Error, State, Supervisor, hidden, respawn};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

struct Script {
    name: NodeName,
    after: Vec<NodeName>,
    outlives: Vec<NodeName>,
    text: String,
    ready: PathBuf,
    directory: PathBuf,
}

impl Process for Script {
    fn name(&self) -> &NodeName {
        &self.name
    }

    fn role(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::ready("script".to_owned()))
    }

    fn zone(&self) -> Option<&Zone> {
        None
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    fn after(&self) -> Vec<NodeName> {
        self.after.clone()
    }

    fn outlives(&self) -> Vec<NodeName> {
        self.outlives.clone()
    }

    fn prepare<'a>(
        &'a self,
        _host: &'a dyn onefold_core::process::Host,
    ) -> BoxFuture<'a, Result<(), ProcessError>> {
        // It may not be there.
        let _ = std::fs::remove_file(&self.ready);
        Box::pin(std::future::ready(Ok(())))
    }

    fn command(&self) -> Command {
        let command = Command::new("/bin/sh").args(["-c", &self.text]).env("READY", &self.ready);
        Command { directory: self.directory.clone(), ..command }
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        let ready = self.ready.exists();
        Box::pin(async move { if ready { Ok(()) } else { Err(ProcessError::not_yet("no file yet")) } })
    }

    fn stop(&self) -> Stop {
        Stop { signal: StopSignal::Terminate, grace: Duration::from_millis(500) }
    }
}

fn main() -> ExitCode {
    if let Some(code) = hidden::entry() {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new().expect("start a runtime");
    let arguments = std::env::args().skip(1).collect();
    match runtime.block_on(run(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_status())
        }
    }
}

async fn run(mut arguments: VecDeque<String>) -> Result<ExitCode, Error> {
    let detach = arguments.pop_front_if(|first| first == "--detach").is_some();
    let directory = PathBuf::from(arguments.front().expect("STATE"));
    if detach {
        let program = std::env::current_exe().expect("a program");
        let detached = respawn(&directory, &program, arguments.into_iter().map(Into::into)).await?;
        print!("{}", detached.output);
        return Ok(ExitCode::from(detached.exit_status));
    }
    let state = Arc::new(State::claim(&directory)?);
    let processes = scripts(&state, arguments.into_iter().skip(1));
    let (events, mut heard) = mpsc::channel(64);
    let supervisor = Supervisor::new(state, events, Clock::system())?;
    let told = async {
        while let Some(event) = heard.recv().await {
            println!("{event}");
        }
    };
    tokio::select! {
        done = live(&supervisor, processes) => done.map(|()| ExitCode::SUCCESS),
        () = told => Ok(ExitCode::SUCCESS),
    }
}

fn scripts(state: &State, mut arguments: impl Iterator<Item = String>) -> Vec<Arc<dyn Process>> {
    let mut processes: Vec<Arc<dyn Process>> = Vec::new();
    while let (Some(name), Some(after), Some(text)) = (arguments.next(), arguments.next(), arguments.next()) {
        let named = after.split(',').filter(|name| !name.is_empty());
        let (outlives, after): (Vec<&str>, Vec<&str>) = named.partition(|name| name.starts_with('~'));
        let names = |list: Vec<&str>| {
            list.iter().map(|name| name.trim_start_matches('~').parse().expect("a name")).collect()
        };
        processes.push(Arc::new(Script {
            after: names(after),
            outlives: names(outlives),
            ready: state.run().join(format!("{name}.ready")),
            name: name.parse().expect("a name"),
            text,
            directory: state.path().to_owned(),
        }));
    }
    processes
}

async fn live(supervisor: &Supervisor, processes: Vec<Arc<dyn Process>>) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).expect("listen");
    tokio::select! {
        started = supervisor.start(processes) => {
            started?;
            println!("all ready");
            supervisor.announce_ready();
            terminate.recv().await;
        }
        _ = terminate.recv() => {}
    }
    supervisor.stop().await;
    println!("all stopped");
    Ok(())
}
