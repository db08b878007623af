//! The days of history and inbox.

use onefold_queue::conformance::World;
use onefold_queue::store::Retention;

const RETENTION: Retention = Retention { history_days: 7, inbox_days: 7 };

async fn execute(world: &World, sql: &str) {
    world.engine().database.exclusive().await.expect("connect").batch_execute(sql).await.expect(sql);
}

async fn days(world: &World, table: &str) -> Vec<String> {
    let connection = world.engine().database.exclusive().await.expect("connect");
    let sql = format!(
        "select child.relname::text from pg_inherits join pg_class child on child.oid = inhrelid
         where inhparent = 'onefold.{table}'::regclass and child.relname::text <> '{table}_default'
         order by 1"
    );
    connection.query(&sql, &[]).await.expect("ask").iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_made_ahead_and_dropped_when_their_time_is_over() {
    let world = crate::world().await;
    execute(
        &world,
        "create table onefold.job_done_20200101 partition of onefold.job_done
             for values from ('2020-01-01') to ('2020-01-02');
         create table onefold.inbox_20200101 partition of onefold.inbox
             for values from ('2020-01-01') to ('2020-01-02');
         insert into onefold.inbox values ('k.v1', '1', '2020-01-02')",
    )
    .await;
    world.engine().store.tidy(RETENTION).await.expect("tidy");
    world.engine().store.tidy(RETENTION).await.expect("again");
    for table in ["job_done", "inbox"] {
        let days = days(&world, table).await;
        assert_eq!(days.len(), 8, "today and a week: {days:?}");
    }
    let connection = world.engine().database.exclusive().await.expect("connect");
    let left = connection.query("select 1 from onefold.inbox", &[]).await.expect("ask");
    assert!(left.is_empty(), "the default partition is swept too");
}

#[tokio::test(flavor = "multi_thread")]
async fn inbox_outlives_every_job_that_may_be_delivered_again() {
    let world = crate::world().await;
    execute(
        &world,
        "insert into onefold.job (queue, kind, kind_version, priority, run_at, created_at, attempts_max, args)
             values ('default', 'k.v1', 1, 2, now(), '2020-01-01T12:00:00Z', 8, '{}');
         insert into onefold.inbox values ('k.v1', '1', '2020-01-01'), ('k.v1', '0', '2019-12-31')",
    )
    .await;
    world.engine().store.tidy(RETENTION).await.expect("tidy");
    let connection = world.engine().database.exclusive().await.expect("connect");
    let left = connection.query("select message_id from onefold.inbox", &[]).await.expect("ask");
    let left: Vec<&str> = left.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, ["1"]);
}
