//! A planned change of the primary: it is stopped in good order, so that its replicas have all that it had, and then what
//! follows is what follows its end for any other reason.

use crate::local::cluster::Shared;
use crate::local::sql;
use onefold_core::NodeName;
use onefold_core::process::ProcessError;
use std::time::Duration;
use tokio_postgres::Client;

/// A primary that stops writes a checkpoint, and waits for its replicas; then another is promoted.
const DONE_MAX: Duration = Duration::from_secs(90);

/// A change of the primary that somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Who is the primary until then.
    pub(crate) from: usize,
    /// Who shall be.
    pub(crate) to: usize,
}

/// Makes `to` the primary, or the replica that is furthest; answers who it is then.
///
/// # Errors
/// [`ProcessError::Unusable`] where it cannot be: the present primary goes on. [`ProcessError::NotYet`] where it did not
/// come to an end in time, or another server took over than the one that was wanted.
pub(crate) async fn switch_over(shared: &Shared, to: Option<&NodeName>) -> Result<NodeName, ProcessError> {
    let before = shared.roles.term();
    let wanted = choose(shared, to).await?;
    shared.ask(wanted.from, async |client: Client| client.batch_execute("checkpoint").await).await?;
    shared.wanted.send_replace(Some(wanted));
    let mut watching = shared.wanted.subscribe();
    let done = watching.wait_for(Option::is_none);
    if tokio::time::timeout(DONE_MAX, done).await.is_err() {
        shared.wanted.send_replace(None);
        return Err(ProcessError::not_yet(format!("it is not done after {} s", DONE_MAX.as_secs())));
    }
    let now = shared.roles.term();
    if now.epoch == before.epoch {
        let why = format!("{} is the primary still: no replica could take over for certain", now.primary);
        return Err(ProcessError::not_yet(why));
    }
    if to.is_some_and(|to| *to != now.primary) {
        return Err(ProcessError::not_yet(format!("{} held more, and is the primary now", now.primary)));
    }
    Ok(now.primary)
}

async fn choose(shared: &Shared, to: Option<&NodeName>) -> Result<Wanted, ProcessError> {
    let from = shared.roles.primary();
    let names = shared.names();
    let listed = || names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
    let is_named = |name: &str| names.iter().position(|known| known.as_str() == name);
    if let Some(name) = to {
        let problem = match is_named(name.as_str()) {
            None => format!("no server is named {name}"),
            Some(server) if server == from => format!("{name} is the primary already"),
            Some(_) => String::new(),
        };
        if !problem.is_empty() {
            return Err(ProcessError::unusable(problem, format!("name another of {}", listed())));
        }
    }
    if shared.roles.term().alone {
        return Err(ProcessError::unusable(
            format!("{} may have acknowledged what no replica has", names[from]),
            "wait until one has caught up",
        ));
    }
    let streaming = shared.ask(from, async |client: Client| client.query(sql::STREAMING, &[]).await).await?;
    let streaming = streaming.iter().filter_map(|row| is_named(row.get::<_, &str>(0)));
    let wanted = |server: &usize| to.is_none_or(|to| names[*server] == *to);
    let Some(to) = streaming.into_iter().find(wanted) else {
        let who = to.map_or("no replica follows".to_owned(), |to| format!("{to} does not follow"));
        return Err(ProcessError::unusable(
            format!("{who} {} closely enough to take over", names[from]),
            "wait until `database status` shows a replica without lag",
        ));
    };
    Ok(Wanted { from, to })
}
