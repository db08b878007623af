//! What the simulation knows of jobs, and what may not be.

use onefold_lab::simulation::Broken;
use std::collections::{BTreeMap, BTreeSet};

/// One execution: a job's delivery to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) job: i64,
    pub(super) run: i32,
    pub(super) worker: i64,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Who has each job now.
    held: BTreeMap<i64, Delivery>,
    /// Workers whose lease is over by the clock.
    ended: BTreeSet<i64>,
    /// Jobs whose transaction has committed.
    enqueued: Vec<i64>,
    broken: Option<String>,
    steps: Vec<String>,
}

impl Ledger {
    pub(super) fn enqueued(&mut self, job: i64) {
        self.enqueued.push(job);
    }

    pub(super) fn fetched(&mut self, to: Delivery) {
        self.steps.push(format!("fetched: {to:?}"));
        if let Some(before) = self.held.insert(to.job, to) {
            self.break_with(format!("{to:?} was handed out though {before:?} may still be at work"));
        }
    }

    /// A settlement was accepted, by a commit or within a transaction.
    pub(super) fn accepted(&mut self, by: Delivery, how: &str) {
        self.steps.push(format!("{how}: {by:?}"));
        if self.held.get(&by.job) != Some(&by) {
            let now = self.held.get(&by.job);
            self.break_with(format!("{how} of {by:?} was accepted, which had lost its job (now {now:?})"));
        }
    }

    /// That settlement is committed.
    pub(super) fn settled(&mut self, by: Delivery) {
        if self.held.get(&by.job) == Some(&by) {
            self.held.remove(&by.job);
        }
    }

    pub(super) fn lease_ended(&mut self, worker: i64) {
        self.steps.push(format!("the lease of worker {worker} ends"));
        self.ended.insert(worker);
    }

    pub(super) fn renewed(&mut self, worker: i64) {
        self.steps.push(format!("worker {worker} renews"));
        self.ended.remove(&worker);
    }

    /// Only jobs of workers whose lease was over may be handed out again.
    pub(super) fn rescued(&mut self, workers: &[i64]) {
        self.steps.push(format!("rescued from workers {workers:?}"));
        let ended = &self.ended;
        self.held.retain(|_, by| !(workers.contains(&by.worker) && ended.contains(&by.worker)));
    }

    pub(super) fn died(&mut self, worker: i64) {
        self.steps.push(format!("worker {worker} dies"));
    }

    /// What is there in the end: effects by job, and jobs that were neither done nor are dead letters.
    pub(super) fn counted(&mut self, effects: &BTreeMap<i64, i64>, left: i64) {
        for job in self.enqueued.clone() {
            let times = effects.get(&job).copied().unwrap_or(0);
            if times != 1 {
                self.break_with(format!("job {job} had its effect {times} times"));
            }
        }
        let others = effects.keys().find(|job| !self.enqueued.contains(job)).copied();
        if let Some(job) = others {
            self.break_with(format!("job {job} had an effect times one, though it was rolled back"));
        }
        if left != 0 {
            self.break_with(format!("{left} jobs are left though nobody has them"));
        }
    }

    fn break_with(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(super) fn verdict(self) -> Result<(), Broken> {
        let steps = self.steps;
        self.broken.map_or(Ok(()), |what| Err(Broken { what, steps }))
    }
}
