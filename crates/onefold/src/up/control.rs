//! The door of a running `up`: a socket by which commands ask the supervisor for what only it can do.
//!
//! Who may enter its directory may ask: the account of `up`, and that of its engines. One request is served at a time,
//! each a line of JSON with one line for an answer; who is silent is let go.

use onefold_core::NodeName;
use onefold_database::local::LocalCluster;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

const FILE: &str = "control.sock";
const LINE_BYTES_MAX: u64 = 4096;
/// Who has connected has its request ready.
const REQUEST_MAX: Duration = Duration::from_secs(2);
/// Others may be served before, and a switchover takes as long as a server takes to stop.
const ANSWER_MAX: Duration = Duration::from_mins(2);
/// After an error of the listener, like too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What may be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// Another server shall be the primary: this one, or the one that is furthest.
    Switchover { to: Option<NodeName> },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// It is done: the new primary.
    Done(NodeName),
    /// It was not done, for this reason.
    Refused(String),
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

    /// Serves until it is dropped.
    pub(super) async fn serve(self, database: Option<&LocalCluster>) -> Infallible {
        loop {
            let served = match self.0.accept().await {
                Ok((stream, _)) => serve(stream, database).await,
                Err(error) => {
                    tokio::time::sleep(PAUSE).await;
                    Err(error)
                }
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a command was not served");
            }
        }
    }
}

async fn serve(mut stream: UnixStream, database: Option<&LocalCluster>) -> io::Result<()> {
    let line = tokio::time::timeout(REQUEST_MAX, read_line(&mut stream)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Switchover { to }) => switchover(database, to.as_ref()).await,
        Err(error) => Answer::Refused(format!("no request that this build knows: {error}")),
    };
    write_line(&mut stream, &answer).await
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

/// Asks the `up` whose sockets are here.
///
/// # Errors
/// Where it does not answer.
pub(crate) async fn ask(sockets: &Path, request: &Request) -> io::Result<Answer> {
    let asking = async {
        let mut stream = UnixStream::connect(sockets.join(FILE)).await?;
        write_line(&mut stream, request).await?;
        Ok(serde_json::from_str(&read_line(&mut stream).await?)?)
    };
    tokio::time::timeout(ANSWER_MAX, asking).await?
}

async fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    Ok(line)
}

async fn write_line(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}
