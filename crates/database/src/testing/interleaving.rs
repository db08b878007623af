//! Sessions of one server whose statements take turns, in an order that the caller chooses.
//!
//! One statement runs at a time, but for those that wait for a lock of another's: they go on when that is free. So the order
//! of the choices is the order of the statements, and the same choices make the same history.

use super::TestPostgres;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

/// A statement that takes longer is asked after: it may wait for a lock.
const LOOK_AFTER: Duration = Duration::from_millis(2);
/// Everybody waits for somebody for so long: a script that forgot to end a transaction.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// Sessions of one server.
#[derive(Debug)]
pub struct Interleaving {
    watcher: Client,
    sessions: Vec<TurnedSession>,
}

/// One of them. Its statements wait for their turn.
#[derive(Debug)]
pub struct TurnedSession {
    client: Client,
    pid: i32,
    turn: Cell<Turn>,
    statements: RefCell<HashMap<String, Statement>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It asks nothing.
    None,
    Waiting,
    Granted,
    /// A statement is under way.
    Taken,
}

/// What one session does: statements, and what follows from their answers.
pub type Script<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

impl Interleaving {
    /// Opens so many sessions.
    ///
    /// # Panics
    /// Where the server is gone.
    pub async fn of(server: &TestPostgres, sessions: usize) -> Self {
        let watcher = server.client().await;
        let mut opened = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            let client = server.client().await;
            let pid = client.query_one("select pg_backend_pid()", &[]).await.expect("a session").get(0);
            opened.push(TurnedSession {
                client,
                pid,
                turn: Cell::new(Turn::None),
                statements: RefCell::default(),
            });
        }
        Self { watcher, sessions: opened }
    }

    /// The session that stands at `at`.
    pub fn session(&self, at: usize) -> &TurnedSession {
        &self.sessions[at]
    }

    /// Runs the scripts, that of each session at its place, to their ends. `choose` gets the sessions whose statement may be next,
    /// and answers the place of one in that list.
    ///
    /// # Panics
    /// Where all wait for each other.
    pub async fn run(&self, scripts: Vec<Script<'_>>, mut choose: impl FnMut(&[usize]) -> usize) {
        let mut scripts: Vec<Option<Script<'_>>> = scripts.into_iter().map(Some).collect();
        loop {
            let settled = tokio::time::timeout(STUCK_AFTER, self.settle(&mut scripts));
            settled.await.expect("a session waits for a lock that nobody gives up");
            let waits = |at: &usize| scripts[*at].is_some() && self.sessions[*at].turn.get() == Turn::Waiting;
            let ready: Vec<usize> = (0..scripts.len()).filter(waits).collect();
            if ready.is_empty() {
                return;
            }
            self.sessions[ready[choose(&ready)]].turn.set(Turn::Granted);
        }
    }

    /// Waits until no statement runs, but for those that wait for a lock, while there is anybody who could give it up.
    async fn settle(&self, scripts: &mut [Option<Script<'_>>]) {
        loop {
            let idle = poll_fn(|cx| self.poll(scripts, cx));
            if tokio::time::timeout(LOOK_AFTER, idle).await.is_ok() {
                return;
            }
            let others = self.sessions.iter().any(|session| session.turn.get() == Turn::Waiting);
            if others && self.all_blocked().await {
                return;
            }
        }
    }

    fn poll(&self, scripts: &mut [Option<Script<'_>>], cx: &mut Context<'_>) -> Poll<()> {
        for (at, script) in scripts.iter_mut().enumerate() {
            if script.as_mut().is_some_and(|script| script.as_mut().poll(cx).is_ready()) {
                *script = None;
                self.sessions[at].turn.set(Turn::None);
            }
        }
        let runs = |session: &TurnedSession| matches!(session.turn.get(), Turn::Taken | Turn::Granted);
        if self.sessions.iter().any(runs) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether each statement under way waits for a lock of somebody else.
    async fn all_blocked(&self) -> bool {
        let running: Vec<i32> =
            self.sessions.iter().filter(|one| one.turn.get() == Turn::Taken).map(|one| one.pid).collect();
        let blocked =
            "select count(*) from unnest($1::int[]) pid where cardinality(pg_blocking_pids(pid)) > 0";
        let blocked: i64 = self.watcher.query_one(blocked, &[&running]).await.expect("look at locks").get(0);
        usize::try_from(blocked) == Ok(running.len())
    }
}

impl TurnedSession {
    /// Runs one statement, when its turn comes.
    ///
    /// # Errors
    /// As the server says.
    pub async fn query(&self, statement: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.turn().await;
        let answer = self.query_now(statement, params).await;
        self.turn.set(Turn::None);
        answer
    }

    /// The same, and answers how many rows it concerned.
    ///
    /// # Errors
    /// As the server says.
    pub async fn execute(&self, statement: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.turn().await;
        let answer = self.execute_now(statement, params).await;
        self.turn.set(Turn::None);
        answer
    }

    /// At once, out of turn: what stands before and after the scripts.
    ///
    /// # Errors
    /// As the server says.
    pub async fn query_now(
        &self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.client.query(&self.prepared(statement).await?, params).await
    }

    /// As [`Self::query_now`], and answers how many rows it concerned.
    ///
    /// # Errors
    /// As the server says.
    pub async fn execute_now(&self, statement: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.client.execute(&self.prepared(statement).await?, params).await
    }

    async fn turn(&self) {
        poll_fn(|_| {
            if self.turn.get() == Turn::Granted {
                self.turn.set(Turn::Taken);
                return Poll::Ready(());
            }
            self.turn.set(Turn::Waiting);
            Poll::Pending
        })
        .await;
    }

    async fn prepared(&self, statement: &str) -> Result<Statement, Error> {
        let known = self.statements.borrow().get(statement).cloned();
        let prepared = match known {
            Some(prepared) => prepared,
            None => self.client.prepare(statement).await?,
        };
        self.statements.borrow_mut().insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }
}
