//! The door of a running `up`: a socket by which commands ask the supervisor for what only it can do.
//!
//! Who may enter its directory may ask: the account of `up`, and that of its engines. A request is a line of JSON, and so
//! are its answer and the steps that may come before; who is silent is let go.

use super::chaos::{Chaos, Refusal};
use super::roll::Roll;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use onefold_chaos::{Fault, Wish};
use onefold_core::NodeName;
use onefold_database::local::LocalCluster;
use onefold_supervisor::Supervisor;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

const FILE: &str = "control.sock";
/// A refusal may hold the last lines of a log, and there may be many faults of many edges.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Callers at once; others wait to be accepted.
const CALLERS_MAX: usize = 16;
/// Steps that wait to be told: more than a system has nodes.
const STEPS_MAX: usize = 256;
/// Who has connected has its request ready.
const REQUEST_MAX: Duration = Duration::from_secs(2);
/// The longest between two lines: a server that stops takes its time, and so does a node that drains and starts.
const ANSWER_MAX: Duration = Duration::from_mins(5);
/// After an error of the listener, like too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What may be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// Another server shall be the primary: this one, or the one that is furthest.
    Switchover { to: Option<NodeName> },
    /// This node, or all in turn, shall run the binary that was built since.
    Restart { node: Option<NodeName> },
    /// This shall be broken.
    Inflict(Wish),
    /// This fault shall end, or all.
    Heal { id: Option<u32> },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// It is done: the new primary.
    Done(NodeName),
    /// It is broken now.
    Inflicted(Box<Fault>),
    /// These have ended.
    Healed(Vec<Fault>),
    /// It was not done, for this reason.
    Refused(String),
    /// It was not done, since whoever asks must ask for something else.
    Misused(String),
    /// It is being done: more answers follow.
    Step(Step),
    /// The nodes run the new build.
    Restarted(Restarted),
}

/// What a restart came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Restarted {
    /// What runs now.
    pub(crate) build: String,
    /// What that has changed in the schema first.
    pub(crate) migrations: Vec<String>,
    /// Where, in the order of their restarts.
    pub(crate) nodes: Vec<NodeName>,
}

/// A step of a restart.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// A migration was applied.
    Migrated(String),
    /// A node takes no more work, and ends what it has.
    Draining {
        /// The node.
        node: NodeName,
        /// The build that it runs.
        of: String,
    },
    /// It runs the new build, and is ready.
    Ready {
        /// The node.
        node: NodeName,
        /// From its end to this moment.
        took_ms: u64,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Migrated(migration) => write!(f, "applied {migration}"),
            Self::Draining { node, of } => write!(f, "{node} drains and leaves build {of}"),
            Self::Ready { node, took_ms } => write!(f, "{node} is ready after {took_ms} ms"),
        }
    }
}

/// Who does what is asked for.
pub(super) struct Desk<'a> {
    pub(super) database: Option<&'a LocalCluster>,
    pub(super) supervisor: &'a Supervisor,
    pub(super) roll: &'a Roll,
    pub(super) chaos: &'a Chaos<'a>,
}

/// Where requests come in.
pub(super) struct Door(UnixListener);

impl Door {
    /// Opens it. What an earlier `up` on the same state has left there gives way: there is only one at a time.
    pub(super) fn open(sockets: &Path) -> io::Result<Self> {
        let path = sockets.join(FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        UnixListener::bind(path).map(Self)
    }

    /// Serves until it is dropped. What a caller has asked for goes on after it has gone.
    pub(super) async fn serve(self, desk: &Desk<'_>) -> Infallible {
        let mut callers = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.0.accept(), if callers.len() < CALLERS_MAX => match accepted {
                    Ok((stream, _)) => callers.push(serve(stream, desk)),
                    Err(error) => {
                        tracing::debug!(%error, "accept a command");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(served) = callers.next(), if !callers.is_empty() => if let Err(error) = served {
                    tracing::debug!(%error, "a command was not served");
                },
            }
        }
    }
}

async fn serve(mut stream: UnixStream, desk: &Desk<'_>) -> io::Result<()> {
    let line = tokio::time::timeout(REQUEST_MAX, read_line(&mut BufReader::new(&mut stream))).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Switchover { to }) => switchover(desk.database, to.as_ref()).await,
        Ok(Request::Inflict(wish)) => {
            let inflicted = desk.chaos.inflict(&wish).await;
            inflicted.map_or_else(Answer::from, |fault| Answer::Inflicted(Box::new(fault)))
        }
        Ok(Request::Heal { id }) => desk.chaos.heal(id).await.map_or_else(Answer::from, Answer::Healed),
        Ok(Request::Restart { node }) => restart(desk, node.as_ref(), &mut stream).await,
        Err(error) => Answer::Refused(format!("no request that this build knows: {error}")),
    };
    write_line(&mut stream, &answer).await
}

async fn restart(desk: &Desk<'_>, node: Option<&NodeName>, caller: &mut UnixStream) -> Answer {
    let (tell, mut told) = mpsc::channel(STEPS_MAX);
    let telling = async {
        while let Some(step) = told.recv().await {
            // The caller may have gone.
            let _ = write_line(caller, &Answer::Step(step)).await;
        }
    };
    let (restarted, ()) = tokio::join!(desk.roll.run(node, desk.supervisor, tell), telling);
    restarted.map_or_else(Answer::Refused, Answer::Restarted)
}

async fn switchover(database: Option<&LocalCluster>, to: Option<&NodeName>) -> Answer {
    let Some(database) = database else {
        return Answer::Refused(
            "`up` does not run this database: whoever runs it switches it over".to_owned(),
        );
    };
    match database.switchover(to).await {
        Ok(primary) => Answer::Done(primary),
        Err(error) => Answer::Refused(error.to_string()),
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Misused(reason) => Self::Misused(reason),
            Refusal::Failed(reason) => Self::Refused(reason),
        }
    }
}

/// Asks the `up` whose sockets are here.
///
/// # Errors
/// Where it does not answer.
pub(crate) async fn ask(sockets: &Path, request: &Request) -> io::Result<Answer> {
    ask_and_watch(sockets, request, |_| {}).await
}

/// The same, and hears of each step on the way.
///
/// # Errors
/// Where it does not answer.
pub(crate) async fn ask_and_watch(
    sockets: &Path,
    request: &Request,
    mut watch: impl FnMut(Step),
) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(sockets.join(FILE)).await?;
    write_line(&mut stream, request).await?;
    let mut answers = BufReader::new(stream);
    loop {
        let line = tokio::time::timeout(ANSWER_MAX, read_line(&mut answers)).await??;
        if line.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has ended"));
        }
        match serde_json::from_str(&line)? {
            Answer::Step(step) => watch(step),
            answer => return Ok(answer),
        }
    }
}

async fn read_line(lines: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    lines.take(LINE_BYTES_MAX).read_line(&mut line).await?;
    Ok(line)
}

async fn write_line(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}
