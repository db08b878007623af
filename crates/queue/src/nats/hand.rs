//! What one worker of this process holds: its messages, and the acknowledgements that it owes for those that have
//! ended.

use super::parcel::Parcel;
use crate::store::{Execution, WorkerId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One worker's messages. Shared by its consumer, its settler, its handlers' completions and the payer.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) worker: WorkerId,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By job.
    held: HashMap<i64, Arc<Held>>,
    owed: Vec<Debt>,
    /// For each claim, how many of its messages are not acknowledged yet.
    open: HashMap<i32, usize>,
    /// Completed by a commit of their handlers, and not noted in their claim yet.
    completed: Vec<Execution>,
}

/// A message that is held.
#[derive(Debug)]
pub(super) struct Held {
    /// With this attempt counted, and the errors of those before it.
    pub(super) parcel: Parcel,
    pub(super) claim: i32,
    /// Where its acknowledgement goes.
    pub(super) address: String,
    /// Whether attempts of it were lost with their workers.
    pub(super) has_losses: bool,
    pub(super) since: Instant,
}

/// What JetStream is told of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It is done with, by a commit.
    Done,
    /// It is to be delivered again.
    Again,
    /// The same after a moment.
    Later,
    /// It is dead, by a commit.
    Never,
    /// It is held, and worked on.
    Working,
}

impl Word {
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Done => b"+ACK",
            Self::Again => b"-NAK",
            Self::Later => b"-NAK {\"delay\": 5000000000}",
            Self::Never => b"+TERM",
            Self::Working => b"+WPI",
        }
    }
}

/// A word that is owed.
#[derive(Clone, Debug)]
pub(super) struct Debt {
    pub(super) claim: i32,
    pub(super) address: String,
    pub(super) word: Word,
}

impl Hand {
    pub(super) fn new(worker: WorkerId) -> Self {
        Self { worker, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the messages of a claim.
    pub(super) fn take(&self, claim: i32, messages: Vec<Held>) {
        let mut inner = self.inner();
        inner.open.insert(claim, messages.len());
        inner.held.extend(messages.into_iter().map(|held| (held.parcel.id, Arc::new(held))));
    }

    /// The message of an execution, if it is held.
    pub(super) fn get(&self, execution: Execution) -> Option<Arc<Held>> {
        let inner = self.inner();
        inner.held.get(&execution.id.0).filter(|held| held.claim == execution.run).map(Arc::clone)
    }

    /// Whether a job is held in any execution.
    pub(super) fn holds(&self, job: i64) -> bool {
        self.inner().held.contains_key(&job)
    }

    /// Lets messages go, by a commit that says so: from now on a word is owed for each.
    pub(super) fn end<'a>(&self, ended: impl IntoIterator<Item = (&'a Held, Word)>) {
        let mut inner = self.inner();
        for (held, word) in ended {
            inner.held.remove(&held.parcel.id);
            inner.owed.push(Debt { claim: held.claim, address: held.address.clone(), word });
        }
    }

    /// Lets a message go that belongs to somebody else by now.
    pub(super) fn lose(&self, held: &Held) {
        let mut inner = self.inner();
        inner.held.remove(&held.parcel.id);
        inner.open.remove(&held.claim);
    }

    /// What is owed now; nobody else pays it meanwhile.
    pub(super) fn take_debts(&self) -> Vec<Debt> {
        std::mem::take(&mut self.inner().owed)
    }

    /// Owes again what could not be paid.
    pub(super) fn owe(&self, debts: Vec<Debt>) {
        self.inner().owed.extend(debts);
    }

    /// Notes what was paid, and answers the claims in which nothing is open any more.
    pub(super) fn paid(&self, debts: &[Debt]) -> Vec<i32> {
        let mut inner = self.inner();
        let mut closed = Vec::new();
        for debt in debts {
            let Some(open) = inner.open.get_mut(&debt.claim) else { continue };
            *open = open.saturating_sub(1);
            if *open == 0 {
                inner.open.remove(&debt.claim);
                closed.push(debt.claim);
            }
        }
        closed
    }

    /// Notes that a handler's commit has completed an execution.
    pub(super) fn complete(&self, execution: Execution) {
        self.inner().completed.push(execution);
    }

    pub(super) fn take_completed(&self) -> Vec<Execution> {
        std::mem::take(&mut self.inner().completed)
    }

    /// Where the acknowledgements of what has been held since before a moment go.
    pub(super) fn addresses(&self, before: Instant) -> Vec<String> {
        let inner = self.inner();
        let long = inner.held.values().filter(|held| held.since < before);
        long.map(|held| held.address.clone()).collect()
    }
}
