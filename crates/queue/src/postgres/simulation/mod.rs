//! Workers that die, sleep past their leases and settle late, and a rescue among them: no job is lost, none is given to two
//! while both may work on it, none is settled by a delivery that was lost, and its effect is there once. The statements are those of
//! production, on a real server; their order is drawn.

mod ledger;
mod scripts;

use super::MIGRATIONS;
use super::sql;
use ledger::Ledger;
use onefold_database::testing::{Interleaving, Script, TestPostgres};
use onefold_lab::simulation::{Broken, Chance, Found, Schedules, explore};
use scripts::Scripts;
use std::cell::RefCell;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Client;

const WORKERS: usize = 3;
const RESCUE: usize = WORKERS;
const PRODUCER: usize = WORKERS + 1;
const TIME: usize = WORKERS + 2;
const SESSIONS: usize = WORKERS + 3;
/// Schedules are stories: a session that is chosen goes on for a while, and another sleeps.
const CHANGES_ONCE_IN: u32 = 3;

/// The statements that a bug may be planted in, and whether effects look at the inbox.
#[derive(Clone, Debug)]
struct Rules {
    done: String,
    put_back: String,
    done_in: String,
    expire: String,
    looks_at_inbox: bool,
}

impl Rules {
    fn as_they_are() -> Self {
        Self {
            done: sql::DONE.to_owned(),
            put_back: sql::PUT_BACK.to_owned(),
            done_in: sql::DONE_IN.to_owned(),
            expire: sql::EXPIRE.to_owned(),
            looks_at_inbox: true,
        }
    }
}

/// One server for all schedules of a test.
struct Stage {
    runtime: Runtime,
    _server: TestPostgres,
    admin: Client,
    sessions: Interleaving,
}

impl Stage {
    fn set() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (server, admin, sessions) = runtime.block_on(async {
            let server = TestPostgres::start().await;
            let admin = server.client().await;
            for migration in MIGRATIONS.migrations {
                admin.batch_execute(migration.sql).await.expect(migration.name);
            }
            admin.batch_execute("create table effect (job bigint)").await.unwrap();
            let sessions = Interleaving::of(&server, SESSIONS).await;
            (server, admin, sessions)
        });
        Self { runtime, _server: server, admin, sessions }
    }

    fn simulate(&self, schedules: Schedules, rules: &Rules) -> Found {
        explore(schedules.shortened_in(8), |chance| self.runtime.block_on(self.schedule(chance, rules)))
    }

    async fn schedule(&self, chance: &mut Chance, rules: &Rules) -> Result<(), Broken> {
        let clean = "delete from onefold.job; delete from onefold.worker; delete from onefold.inbox;
                     delete from onefold.job_dead; delete from effect";
        self.admin.batch_execute(clean).await.unwrap();
        let ledger = RefCell::new(Ledger::default());
        let chance = RefCell::new(chance);
        let scripts = Scripts { sessions: &self.sessions, ledger: &ledger, chance: &chance, rules };
        let mut workers = Vec::new();
        for at in 0..WORKERS {
            workers.push(scripts.register(at).await);
        }
        let mut all: Vec<Script<'_>> = Vec::new();
        for (at, worker) in workers.iter().enumerate() {
            all.push(Box::pin(scripts.work(at, *worker)));
        }
        all.push(Box::pin(scripts.rescue(RESCUE)));
        all.push(Box::pin(scripts.produce(PRODUCER)));
        all.push(Box::pin(scripts.pass_time(TIME, &workers)));
        // There is little to see before there are jobs.
        let mut last = PRODUCER;
        let choose = |ready: &[usize]| {
            let mut chance = chance.borrow_mut();
            let stays = ready.iter().position(|at| *at == last).filter(|_| !chance.once_in(CHANGES_ONCE_IN));
            let place = stays.unwrap_or_else(|| chance.place(ready.len()));
            last = ready[place];
            place
        };
        self.sessions.run(all, choose).await;
        scripts.wind_up(&self.admin, &workers).await;
        ledger.into_inner().verdict()
    }
}

#[test]
fn nothing_is_lost_or_done_twice_in_any_order_of_the_statements() {
    Stage::set().simulate(Schedules::asked(25), &Rules::as_they_are()).held();
}

/// Each of the rules, taken away.
#[test]
fn each_rule_of_the_queue_that_is_taken_away_is_missed() {
    let stage = Stage::set();
    let planted = |seed, bug: &str, what: &str, plant: fn(&mut Rules)| {
        let mut rules = Rules::as_they_are();
        plant(&mut rules);
        let found = stage.simulate(Schedules::from(seed, 200), &rules);
        assert!(found.broken(bug).what.contains(what), "{bug}: {found}");
    };
    planted(9, "a settlement that does not look at `run`", "had lost", |rules| {
        let forget = |statement: &str| statement.replace("and job.run = ended.run", "");
        assert_ne!(forget(&rules.done), rules.done);
        (rules.done, rules.put_back) = (forget(&rules.done), forget(&rules.put_back));
    });
    planted(66, "a completion in a transaction that does not look at `run`", "had lost", |rules| {
        rules.done_in = "delete from onefold.job where id = $1 and $2::int is not null".to_owned();
    });
    planted(11, "a rescue before the lease has ended", "handed out", |rules| {
        rules.expire =
            "delete from onefold.worker where id = (select min(locked_by) from onefold.job) returning id"
                .to_owned();
    });
    planted(9, "effects that do not look at the inbox", "times", |rules| rules.looks_at_inbox = false);
}
