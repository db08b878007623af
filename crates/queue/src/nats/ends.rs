//! Writes back how a worker's executions ended, and then lets JetStream know.

use super::hand::{Hand, Held, Word};
use super::parcel::{Parcel, Slip};
use super::sql;
use super::store::Nats;
use crate::postgres::held::Held as OwnConnection;
use crate::store::{End, Execution, Settlement, Settler};
use crate::{BoxFuture, Error, JobId};
use onefold_database::{Connection, Tx};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::types::Json;

/// The states of a row that waits.
const AVAILABLE: i16 = 0;
const HELD: i16 = 2;

/// The settler of one worker.
pub(super) struct Ends {
    nats: Nats,
    hand: Arc<Hand>,
    connection: OwnConnection,
    /// The last settlement failed, and nobody knows whether it was committed.
    is_unsure: bool,
}

impl Ends {
    pub(super) fn new(nats: Nats, hand: Arc<Hand>) -> Self {
        let connection = OwnConnection::new(nats.0.database.clone());
        Self { nats, hand, connection, is_unsure: false }
    }

    async fn write(&mut self, settlements: &[Settlement]) -> Result<Vec<JobId>, Error> {
        let connection = self.connection.get().await?;
        let mut ending = Ending::of(&self.hand, settlements);
        if self.is_unsure {
            ending.leave_out_settled(&self.hand, connection).await?;
        }
        let settled = ending.commit(&self.hand, connection).await?;
        if settlements.iter().any(|settlement| is_put_back(&settlement.end)) {
            self.nats.0.due.notify_one();
        }
        self.nats.pay(&self.hand).await;
        Ok(settled)
    }
}

impl Settler for Ends {
    fn settle<'a>(&'a mut self, settlements: &'a [Settlement]) -> BoxFuture<'a, Result<Vec<JobId>, Error>> {
        Box::pin(async move {
            let settled = self.write(settlements).await;
            self.is_unsure = settled.is_err();
            if settled.is_err() {
                self.connection.release();
            }
            settled
        })
    }
}

/// Settles outside of a worker's settling task: what a fetch finds cancelled.
pub(super) async fn settle(
    nats: &Nats,
    hand: &Hand,
    connection: &Connection,
    settlements: &[Settlement],
) -> Result<(), Error> {
    Ending::of(hand, settlements).commit(hand, connection).await?;
    nats.pay(hand).await;
    Ok(())
}

/// Executions that end together.
struct Ending<'a>(Vec<(Arc<Held>, &'a End)>);

impl<'a> Ending<'a> {
    /// Those that the worker holds; the others were taken from it.
    fn of(hand: &Hand, settlements: &'a [Settlement]) -> Self {
        let held = |settlement: &'a Settlement| Some((hand.get(settlement.execution)?, &settlement.end));
        Self(settlements.iter().filter_map(held).collect())
    }

    /// Finds what an earlier attempt at this settlement has committed.
    async fn leave_out_settled(&mut self, hand: &Hand, connection: &Connection) -> Result<(), Error> {
        let (claims, jobs) = (self.claims(), self.jobs());
        let rows = connection.query_cached(sql::SETTLED, &[&hand.worker.0, &claims, &jobs]).await?;
        let settled = rows.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<i64>, _>>()?;
        let (before, rest) =
            std::mem::take(&mut self.0).into_iter().partition(|(held, _)| settled.contains(&held.parcel.id));
        hand.end(Self(before).words());
        self.0 = rest;
        Ok(())
    }

    fn claims(&self) -> Vec<i32> {
        self.0.iter().map(|(held, _)| held.claim).collect()
    }

    fn jobs(&self) -> Vec<i64> {
        self.0.iter().map(|(held, _)| held.parcel.id).collect()
    }

    fn words(&self) -> impl Iterator<Item = (&Held, Word)> {
        self.0.iter().map(|(held, end)| (held.as_ref(), word(end)))
    }

    /// One commit for all. Answers those that were still the worker's.
    async fn commit(mut self, hand: &Hand, connection: &Connection) -> Result<Vec<JobId>, Error> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let is_plain = self.0.iter().all(|(held, end)| is_plain(held, end));
        let claims = if is_plain {
            self.note(hand, connection).await?
        } else {
            connection.batch_execute("begin").await?;
            let written = self.write(hand, connection).await;
            if written.is_err() {
                // What is broken stays so; the caller gives the connection up.
                let _ = connection.batch_execute("rollback").await;
            }
            written?
        };
        let (ours, lost): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(held, _)| claims.contains(&held.claim));
        for (held, _) in &lost {
            hand.lose(held);
        }
        let ours = Self(ours);
        hand.end(ours.words());
        Ok(ours.jobs().into_iter().map(JobId).collect())
    }

    /// Notes the ends in the claims, and answers those that are still the worker's.
    async fn note(&self, hand: &Hand, connection: &Connection) -> Result<HashSet<i32>, Error> {
        let free: Vec<bool> = self.0.iter().map(|(_, end)| matches!(end, End::Release)).collect();
        let (claims, jobs) = (self.claims(), self.jobs());
        let rows = connection.query_cached(sql::END, &[&hand.worker.0, &claims, &jobs, &free]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    async fn write(&self, hand: &Hand, connection: &Connection) -> Result<HashSet<i32>, Error> {
        let claims = self.note(hand, connection).await?;
        let rows = Rows::of(self.0.iter().filter(|(held, _)| claims.contains(&held.claim)));
        for (statement, slips) in
            [(sql::PUT_BACK, rows.back()), (sql::DIE, rows.dead()), (sql::RECORD, rows.done())]
        {
            if !slips.is_empty() {
                connection.execute_cached(statement, &[&slips]).await?;
            }
        }
        for (statement, jobs) in [
            (sql::UNKEY, &rows.keyed),
            (sql::FORGET_LOSSES, &rows.with_losses),
            (sql::FORGET_CANCELLED, &rows.cancelled),
        ] {
            if !jobs.is_empty() {
                connection.execute_cached(statement, &[jobs]).await?;
            }
        }
        connection.batch_execute("commit").await?;
        Ok(claims)
    }
}

fn word(end: &End) -> Word {
    match end {
        End::Release => Word::Again,
        End::Dead(_) => Word::Never,
        _ => Word::Done,
    }
}

/// Whether an end makes a row that the relay is to bring back when its time has come.
fn is_put_back(end: &End) -> bool {
    matches!(end, End::Retry { .. } | End::Snooze(_))
}

/// Whether an end needs no row but its claim's.
fn is_plain(held: &Held, end: &End) -> bool {
    match end {
        End::Done(None) => held.parcel.unique_key.is_none() && !held.has_losses,
        End::Release => true,
        _ => false,
    }
}

/// What is written of ends, by table.
#[derive(Default)]
struct Rows {
    /// With the state and the delay of each.
    back: Vec<(Parcel, i16, Option<i64>)>,
    dead: Vec<Parcel>,
    /// With the run time of each, and whether it was cancelled.
    done: Vec<(Parcel, i64, bool)>,
    keyed: Vec<i64>,
    with_losses: Vec<i64>,
    cancelled: Vec<i64>,
}

type Slips<'a> = Vec<Json<Slip<'a>>>;

impl Rows {
    fn of<'a>(ended: impl Iterator<Item = &'a (Arc<Held>, &'a End)>) -> Self {
        let mut rows = Self::default();
        for (held, end) in ended {
            rows.add(held, end);
        }
        rows
    }

    fn add(&mut self, held: &Held, end: &End) {
        let mut parcel = held.parcel.clone();
        let id = parcel.id;
        let is_keyed = parcel.unique_key.is_some();
        let uncounted = parcel.attempt - 1;
        let mut is_over = true;
        match end {
            End::Done(None) => {}
            End::Done(Some(took)) => self.done.push((parcel, micros(*took), false)),
            End::Cancelled(took) => {
                self.done.push((parcel, micros(*took), true));
                self.cancelled.push(id);
            }
            End::Dead(error) => {
                parcel.note([error.clone()]);
                self.dead.push(parcel);
            }
            End::Release => return,
            End::Retry { delay, error } => {
                parcel.note([error.clone()]);
                self.back.push((parcel, AVAILABLE, Some(micros(*delay))));
                is_over = false;
            }
            End::Snooze(delay) => {
                parcel.attempt = uncounted;
                self.back.push((parcel, AVAILABLE, Some(micros(*delay))));
                is_over = false;
            }
            End::Park => {
                parcel.attempt = uncounted;
                self.back.push((parcel, HELD, None));
                is_over = false;
            }
        }
        if is_over && is_keyed {
            self.keyed.push(id);
        }
        if held.has_losses {
            self.with_losses.push(id);
        }
    }

    fn back(&self) -> Slips<'_> {
        self.back
            .iter()
            .map(|(job, state, delay_us)| {
                Json(Slip { state: Some(*state), delay_us: *delay_us, ..Slip::of(job) })
            })
            .collect()
    }

    fn dead(&self) -> Slips<'_> {
        self.dead.iter().map(|job| Json(Slip::of(job))).collect()
    }

    fn done(&self) -> Slips<'_> {
        self.done
            .iter()
            .map(|(job, run_us, cancelled)| {
                Json(Slip { run_us: Some(*run_us), cancelled: Some(*cancelled), ..Slip::of(job) })
            })
            .collect()
    }
}

/// Completes an execution in its handler's transaction. False if it is no longer the worker's.
pub(super) async fn complete_in(
    tx: &mut Tx,
    held: &Held,
    execution: Execution,
    record: Option<Duration>,
) -> Result<bool, Error> {
    let (id, claim) = (execution.id.0, execution.run);
    if tx.execute(sql::COMPLETE_IN, &[&id, &claim]).await? == 0 {
        return Ok(false);
    }
    if let Some(took) = record {
        let slip = Slip { run_us: Some(micros(took)), cancelled: Some(false), ..Slip::of(&held.parcel) };
        tx.execute(sql::RECORD, &[&vec![Json(slip)]]).await?;
    }
    if held.parcel.unique_key.is_some() {
        tx.execute(sql::UNKEY, &[&vec![id]]).await?;
    }
    if held.has_losses {
        tx.execute(sql::FORGET_LOSSES, &[&vec![id]]).await?;
    }
    Ok(true)
}

/// Notes in their claims what handlers' commits have completed; from then on acknowledgements are owed for them.
pub(super) async fn note_completed(nats: &Nats, hand: &Hand) -> Result<(), Error> {
    let completed = hand.take_completed();
    if completed.is_empty() {
        return Ok(());
    }
    let noted = try_note_completed(nats, hand, &completed).await;
    if noted.is_err() {
        for execution in completed {
            hand.complete(execution);
        }
    }
    noted
}

async fn try_note_completed(nats: &Nats, hand: &Hand, completed: &[Execution]) -> Result<(), Error> {
    let ends: Vec<Settlement> = completed
        .iter()
        .map(|execution| Settlement { execution: *execution, end: End::Done(None) })
        .collect();
    let ending = Ending::of(hand, &ends);
    let connection = nats.0.database.exclusive().await?;
    let claims = ending.note(hand, &connection).await?;
    connection.execute_cached(sql::FORGET_COMPLETED, &[&ending.jobs()]).await?;
    let (ours, lost): (Vec<_>, Vec<_>) =
        ending.0.into_iter().partition(|(held, _)| claims.contains(&held.claim));
    for (held, _) in &lost {
        // Its rescuer has found the completion, and acknowledged.
        hand.lose(held);
    }
    hand.end(Ending(ours).words());
    Ok(())
}

/// A duration in the unit of the statements.
fn micros(duration: Duration) -> i64 {
    crate::postgres::columns::micros(duration)
}
