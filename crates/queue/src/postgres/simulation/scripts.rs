//! What each session does, one statement after the other.

use super::Rules;
use super::ledger::{Delivery, Ledger};
use crate::postgres::sql;
use chrono::{DateTime, NaiveDate, Utc};
use onefold_database::testing::{Interleaving, TurnedSession};
use onefold_lab::simulation::Chance;
use std::cell::RefCell;
use std::collections::BTreeMap;
use tokio_postgres::Client;
use tokio_postgres::types::Json;
use uuid::Uuid;

const ROUNDS: usize = 3;
const RESCUES: usize = 4;
const JOBS: usize = 4;
const ENDS: usize = 4;
const LEASE_US: i64 = 3_600_000_000;
/// Whose effect is kept single by the inbox, and settled later.
const ONCE: &str = "once.v1";
/// Whose effect commits with its completion.
const COMPLETE: &str = "complete.v1";

pub(super) struct Scripts<'a> {
    pub(super) sessions: &'a Interleaving,
    pub(super) ledger: &'a RefCell<Ledger>,
    pub(super) chance: &'a RefCell<&'a mut Chance>,
    pub(super) rules: &'a Rules,
}

/// How a worker ends what it does not complete in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Retry,
}

/// A worker that dies says nothing more.
struct Died;

impl Scripts<'_> {
    pub(super) async fn register(&self, at: usize) -> i64 {
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&Uuid::new_v4(), &"w", &"a", &"test", &LEASE_US];
        self.sessions.session(at).query_now(sql::REGISTER, &params).await.unwrap()[0].get(0)
    }

    pub(super) async fn work(&self, at: usize, worker: i64) {
        let session = self.sessions.session(at);
        if self.rounds(session, worker).await.is_err() {
            self.ledger.borrow_mut().died(worker);
            // The server does this for a connection that is gone.
            session.execute_now("rollback", &[]).await.unwrap();
        }
    }

    async fn rounds(&self, session: &TurnedSession, worker: i64) -> Result<(), Died> {
        let mut late = Vec::new();
        for _ in 0..ROUNDS {
            let fetched = self.fetch(session, worker).await;
            // Its answer was lost, so it is told once more.
            for (by, end) in std::mem::take(&mut late) {
                self.settle(session, by, end).await;
            }
            for (by, kind) in fetched {
                self.may_die()?;
                if kind == COMPLETE {
                    self.complete_in(session, by).await?;
                    continue;
                }
                let end = if self.once_in(3) { End::Retry } else { End::Done };
                if end == End::Done {
                    self.apply_once(session, by).await?;
                }
                self.settle(session, by, end).await;
                if self.once_in(2) {
                    late.push((by, end));
                }
            }
            if self.once_in(3) {
                self.renew(session, worker).await;
            }
            self.may_die()?;
        }
        Ok(())
    }

    async fn fetch(&self, session: &TurnedSession, worker: i64) -> Vec<(Delivery, String)> {
        let limit = 1 + i64::from(self.chance.borrow_mut().below(2));
        let (queues, priorities, marks, ids) =
            (vec!["default"], vec![2_i16], vec![DateTime::<Utc>::UNIX_EPOCH], vec![0_i64]);
        let rows = session.query(sql::FETCH, &[&worker, &queues, &priorities, &marks, &ids, &limit]).await;
        let mut fetched = Vec::new();
        for row in rows.unwrap() {
            let by = Delivery { job: row.get("id"), run: row.get("run"), worker };
            self.ledger.borrow_mut().fetched(by);
            fetched.push((by, row.get("kind")));
        }
        fetched
    }

    /// The effect and the completion, in one transaction.
    async fn complete_in(&self, session: &TurnedSession, by: Delivery) -> Result<(), Died> {
        session.execute("begin", &[]).await.unwrap();
        session.execute("insert into effect (job) values ($1)", &[&by.job]).await.unwrap();
        self.may_die()?;
        let is_mine = session.execute(&self.rules.done_in, &[&by.job, &by.run]).await.unwrap() == 1;
        if is_mine {
            self.ledger.borrow_mut().accepted(by, "completion");
        }
        self.may_die()?;
        session.execute(if is_mine { "commit" } else { "rollback" }, &[]).await.unwrap();
        if is_mine {
            self.ledger.borrow_mut().settled(by);
        }
        Ok(())
    }

    /// The effect, unless the inbox knows it.
    async fn apply_once(&self, session: &TurnedSession, by: Delivery) -> Result<(), Died> {
        session.execute("begin", &[]).await.unwrap();
        let (id, day) = (by.job.to_string(), NaiveDate::default());
        let is_new = session.execute(sql::ONCE, &[&ONCE, &id, &day]).await.unwrap() == 1;
        if is_new || !self.rules.looks_at_inbox {
            session.execute("insert into effect (job) values ($1)", &[&by.job]).await.unwrap();
        }
        self.may_die()?;
        session.execute("commit", &[]).await.unwrap();
        self.may_die()
    }

    async fn settle(&self, session: &TurnedSession, by: Delivery, end: End) {
        let (ids, runs) = (vec![by.job], vec![by.run]);
        let settled = match end {
            End::Done => session.query(&self.rules.done, &[&by.worker, &ids, &runs]).await,
            End::Retry => {
                let (states, delays, uncounted) = (vec![0_i16], vec![Some(0_i64)], vec![0_i32]);
                let errors: Vec<Option<Json<String>>> = vec![None];
                session
                    .query(
                        &self.rules.put_back,
                        &[&by.worker, &ids, &runs, &states, &delays, &uncounted, &errors],
                    )
                    .await
            }
        };
        if !settled.unwrap().is_empty() {
            let mut ledger = self.ledger.borrow_mut();
            ledger.accepted(by, if end == End::Done { "settlement" } else { "return" });
            ledger.settled(by);
        }
    }

    async fn renew(&self, session: &TurnedSession, worker: i64) {
        if !session.query(sql::RENEW, &[&worker, &LEASE_US]).await.unwrap().is_empty() {
            self.ledger.borrow_mut().renewed(worker);
        }
    }

    /// The statements of `postgres::rescue`, in its order.
    pub(super) async fn rescue(&self, at: usize) {
        let session = self.sessions.session(at);
        for _ in 0..RESCUES {
            session.execute("begin", &[]).await.unwrap();
            let expired = session.query(&self.rules.expire, &[]).await.unwrap();
            let expired: Vec<i64> = expired.iter().map(|row| row.get(0)).collect();
            session.query(sql::ORPHANS_DIE, &[&"died"]).await.unwrap();
            session.execute(sql::ORPHANS_CANCELLED, &[]).await.unwrap();
            session.query(sql::ORPHANS_FREED, &[&"died"]).await.unwrap();
            session.execute("commit", &[]).await.unwrap();
            self.ledger.borrow_mut().rescued(&expired);
        }
    }

    pub(super) async fn produce(&self, at: usize) {
        let session = self.sessions.session(at);
        for number in 0..JOBS {
            session.execute("begin", &[]).await.unwrap();
            let job = self.enqueue(session, if number % 2 == 0 { ONCE } else { COMPLETE }).await;
            // Also the producer's transaction may come to nothing.
            let is_kept = !self.once_in(5);
            session.execute(if is_kept { "commit" } else { "rollback" }, &[]).await.unwrap();
            if is_kept {
                self.ledger.borrow_mut().enqueued(job);
            }
        }
    }

    async fn enqueue(&self, session: &TurnedSession, kind: &str) -> i64 {
        let none: Option<String> = None;
        let at: Option<DateTime<Utc>> = None;
        let args = Json(serde_json::Value::Null);
        let rows = session
            .query(
                sql::ENQUEUE_ONE,
                &[
                    &"default", &kind, &1_i32, &2_i16, &at, &0_i64, &100_i32, &args, &none, &none, &none,
                    &none,
                ],
            )
            .await;
        rows.unwrap()[0].get(0)
    }

    /// Time passes: leases that were not renewed end.
    pub(super) async fn pass_time(&self, at: usize, workers: &[i64]) {
        let session = self.sessions.session(at);
        for _ in 0..ENDS {
            let worker = workers[self.chance.borrow_mut().place(workers.len())];
            let end = "update onefold.worker set expires_at = clock_timestamp() - interval '1 second' where id = $1";
            if session.execute(end, &[&worker]).await.unwrap() == 1 {
                self.ledger.borrow_mut().lease_ended(worker);
            }
        }
    }

    /// All leases end, and one more worker does what is left.
    pub(super) async fn wind_up(&self, admin: &Client, workers: &[i64]) {
        let rescued = "delete from onefold.worker;
             update onefold.job set state = 0, run = run + 1, locked_by = null where state = 1";
        admin.batch_execute(rescued).await.unwrap();
        for worker in workers {
            self.ledger.borrow_mut().lease_ended(*worker);
        }
        self.ledger.borrow_mut().rescued(workers);
        let left = "with left_over as (delete from onefold.job returning id),
                known as (select l.id from left_over l join onefold.inbox i on i.message_id = l.id::text)
             insert into effect (job) select id from left_over where id not in (select id from known) or not $1";
        admin.execute(left, &[&self.rules.looks_at_inbox]).await.unwrap();
        let mut effects = BTreeMap::new();
        for row in admin.query("select job, count(*) from effect group by 1", &[]).await.unwrap() {
            effects.insert(row.get(0), row.get(1));
        }
        let left = admin.query_one("select count(*) from onefold.job_dead", &[]).await.unwrap().get(0);
        self.ledger.borrow_mut().counted(&effects, left);
    }

    fn once_in(&self, times: u32) -> bool {
        self.chance.borrow_mut().once_in(times)
    }

    fn may_die(&self) -> Result<(), Died> {
        if self.once_in(12) { Err(Died) } else { Ok(()) }
    }
}
