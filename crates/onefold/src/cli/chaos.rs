//! `chaos`: breaks something of the system that `up` runs, shows what is broken, and heals it.

use super::exit::Failure;
use super::{Running, Why, output, table};
use crate::up::control::{self, Answer, Request};
use crate::up::report::Report;
use clap::{Args, Subcommand, ValueEnum};
use onefold_chaos::{Fault, Kind, Way, Wish};
use onefold_core::Clock;
use onefold_core::deadline::parse_duration;
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const WHO: &str = "A node, a role or a zone: `app-a`, `primary`, `zone=b`, or * for all";
const EDGE: &str = "Two ends, who opens the connection first: `app-a:primary`, `app-a -> replica`, `zone=a:zone=b`; or one, for \
                    all edges of a node or into and out of a zone";

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    running: Running,
}

#[derive(Subcommand)]
enum Action {
    /// Kill a process, once; it is started again
    Kill {
        #[arg(help = WHO)]
        who: String,
    },
    /// Have a process stand still, with all that descends from it
    Pause {
        #[arg(help = WHO)]
        who: String,
        #[command(flatten)]
        hold: Hold,
    },
    /// Let what was paused go on
    Resume {
        #[arg(help = "Whom, as it was said to `pause`, or one of them")]
        who: String,
    },
    /// Have an engine's processes find their disk full: they can write to no file
    DiskFull {
        #[arg(help = WHO)]
        who: String,
        #[command(flatten)]
        hold: Hold,
    },
    /// Have bytes arrive later
    Latency {
        #[arg(help = EDGE)]
        edge: String,
        /// How much later, like 50ms
        #[arg(value_parser = ms)]
        delay: u64,
        /// By how much more at most, by chance; bytes stay in order
        #[arg(long, value_name = "DURATION", value_parser = ms)]
        jitter: Option<u64>,
        /// Which bytes; by default those of the first end, so that a round trip takes longer by DELAY
        #[arg(long)]
        way: Option<WayWord>,
        #[command(flatten)]
        hold: Hold,
    },
    /// Have few bytes pass
    Bandwidth {
        #[arg(help = EDGE)]
        edge: String,
        /// How many in a second, over all connections of an edge
        bytes_per_second: u64,
        /// Which bytes; by default those of either end
        #[arg(long)]
        way: Option<WayWord>,
        #[command(flatten)]
        hold: Hold,
    },
    /// Have no byte pass on connections that the first end opens; they stay open
    Blackhole {
        #[arg(help = EDGE)]
        edge: String,
        /// Which bytes; by default those of either end
        #[arg(long)]
        way: Option<WayWord>,
        #[command(flatten)]
        hold: Hold,
    },
    /// Have no byte pass between two, whoever opened the connection
    Partition {
        #[arg(help = EDGE)]
        edge: String,
        /// Only what the first end sends is lost
        #[arg(long)]
        one_way: bool,
        #[command(flatten)]
        hold: Hold,
    },
    /// Reset the connections that are open, once
    Reset {
        #[arg(help = EDGE)]
        edge: String,
    },
    /// What is broken now
    List,
    /// End a fault, or all
    Heal {
        /// Its number, or `all`
        #[arg(default_value = "all", value_parser = id)]
        which: Which,
    },
}

/// How long a fault lasts.
#[derive(Args)]
struct Hold {
    /// How long, like 30s; by default until it is healed
    #[arg(long = "for", value_name = "DURATION", value_parser = ms)]
    for_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WayWord {
    /// What the first end sends
    There,
    /// What is sent to the first end
    Back,
    /// All
    Both,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    One(u32),
    All,
}

fn id(text: &str) -> Result<Which, String> {
    if text == "all" {
        return Ok(Which::All);
    }
    text.parse()
        .map(Which::One)
        .map_err(|_| "write the number of a fault, as `chaos list` shows it, or `all`".to_owned())
}

fn ms(text: &str) -> Result<u64, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    match u64::try_from(duration.as_millis()) {
        Ok(0) if !duration.is_zero() => Err("less than 1ms cannot be timed; write at least 1ms".to_owned()),
        Ok(ms) => Ok(ms),
        Err(_) => Err("that is longer than anything lasts".to_owned()),
    }
}

/// One fault in the list.
#[derive(Serialize)]
struct Row<'a> {
    id: u32,
    fault: &'a str,
    edges: usize,
    left: String,
    by: &'a str,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Running { state, json } = arguments.running;
    // So that a system that does not run is told as by every other command.
    let up = onefold_supervisor::status::read(&state)?.pid;
    let report = || Report::read(&state, up).unwrap_or_default();
    let ask = |request| super::runtime()?.block_on(ask(&state, request));
    match arguments.action {
        Action::List if json => output::json(&report()),
        Action::List => list(&report()),
        Action::Heal { which } => {
            let id = if let Which::One(id) = which { Some(id) } else { None };
            healed(&ask(Request::Heal { id })?, json)
        }
        Action::Resume { who } => {
            let faults = report().faults;
            let is_meant = |fault: &&Fault| {
                fault.kind == Kind::Pause
                    && (fault.of == who || fault.nodes.iter().any(|node| node.as_str() == who))
            };
            let ids: Vec<u32> = faults.iter().filter(is_meant).map(|fault| fault.id).collect();
            if ids.is_empty() {
                return Err(Failure::Usage(format!("`{who}` is not paused; `chaos list` shows what is")));
            }
            ids.into_iter().try_for_each(|id| healed(&ask(Request::Heal { id: Some(id) })?, json))
        }
        other => {
            let mut wish = wish(other);
            wish.by = Why { reason: None }.writer().actor;
            match ask(Request::Inflict(wish))? {
                Answer::Inflicted(fault) => {
                    output::outcome(line(&fault, Clock::system().wall()), &fault, json)
                }
                other => Err(strange(&other)),
            }
        }
    }
}

fn wish(action: Action) -> Wish {
    let held = |kind, of, hold: Hold| Wish { for_ms: hold.for_ms, ..Wish::new(kind, of) };
    match action {
        Action::Kill { who } => Wish::new(Kind::Kill, who),
        Action::Pause { who, hold } => held(Kind::Pause, who, hold),
        Action::DiskFull { who, hold } => held(Kind::DiskFull, who, hold),
        Action::Latency { edge, delay, jitter, way, hold } => Wish {
            delay_ms: Some(delay),
            jitter_ms: jitter,
            way: way.map(Way::from),
            ..held(Kind::Latency, edge, hold)
        },
        Action::Bandwidth { edge, bytes_per_second, way, hold } => Wish {
            bytes_per_second: Some(bytes_per_second),
            way: way.map(Way::from),
            ..held(Kind::Bandwidth, edge, hold)
        },
        Action::Blackhole { edge, way, hold } => {
            Wish { way: way.map(Way::from), ..held(Kind::Blackhole, edge, hold) }
        }
        Action::Partition { edge, one_way, hold } => {
            Wish { way: one_way.then_some(Way::There), ..held(Kind::Partition, edge, hold) }
        }
        Action::Reset { edge } => Wish::new(Kind::Reset, edge),
        Action::Resume { .. } | Action::List | Action::Heal { .. } => unreachable!("they break nothing"),
    }
}

impl From<WayWord> for Way {
    fn from(word: WayWord) -> Self {
        match word {
            WayWord::There => Self::There,
            WayWord::Back => Self::Back,
            WayWord::Both => Self::Both,
        }
    }
}

async fn ask(state: &Path, request: Request) -> Result<Answer, Failure> {
    let sockets = onefold_supervisor::state::sockets(state)?;
    match control::ask(&sockets, &request).await {
        Ok(Answer::Refused(reason)) => Err(Failure::Failed(reason)),
        Ok(Answer::Misused(reason)) => Err(Failure::Usage(reason)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(Failure::Failed(format!(
            "the `up` on {} does not answer ({error}); look at its output and at `status`",
            state.display()
        ))),
    }
}

fn healed(answer: &Answer, json: bool) -> Result<(), Failure> {
    let Answer::Healed(ended) = answer else { return Err(strange(answer)) };
    if json {
        return output::json(ended);
    }
    if ended.is_empty() {
        return output::line("nothing is broken on purpose");
    }
    ended.iter().try_for_each(|fault| output::line(format_args!("healed: {}", fault.text)))
}

fn strange(answer: &Answer) -> Failure {
    Failure::Failed(format!("the `up` answers something else ({answer:?}): is it of this build?"))
}

fn list(report: &Report) -> Result<(), Failure> {
    let now = Clock::system().wall();
    let rows = report.faults.iter().map(|fault| Row {
        id: fault.id,
        fault: &fault.text,
        edges: fault.edges.len(),
        left: left(fault, now),
        by: &fault.by,
    });
    table::print_rows(&rows.collect::<Vec<_>>())
}

/// A fault in one line: `fault 3: pause of app-a; until it is healed`.
pub(super) fn line(fault: &Fault, now: SystemTime) -> String {
    let edges = match fault.edges.len() {
        0 => String::new(),
        1 => "; 1 edge".to_owned(),
        count => format!("; {count} edges"),
    };
    format!("fault {}: {}{edges}; {}", fault.id, fault.text, left(fault, now))
}

fn left(fault: &Fault, now: SystemTime) -> String {
    let now_ms = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    match (fault.ended_ms, fault.until_ms) {
        (Some(_), _) => "done".to_owned(),
        (None, Some(until_ms)) => {
            format!("{} s left", u128::from(until_ms).saturating_sub(now_ms).div_ceil(1000))
        }
        (None, None) => "until it is healed".to_owned(),
    }
}
