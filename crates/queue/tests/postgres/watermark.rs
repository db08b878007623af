//! One idle open transaction keeps every dead row; fetches must step over them.

use crate::bare;
use chrono::{DateTime, Utc};
use onefold_queue::postgres::statements;
use tokio_postgres::Client;

const ENDED: i64 = 20_000;
const LIVE: i64 = 100;

#[tokio::test]
async fn fetch_from_a_mark_does_not_touch_the_rows_that_an_idle_transaction_keeps() {
    let (server, client) = bare().await;
    let idle = server.client().await;
    idle.batch_execute("begin isolation level repeatable read; select 1").await.expect("hold a snapshot");
    enqueue(&client, ENDED).await;
    let worker = client
        .query_one(
            "insert into onefold.worker (boot, node, zone, build, expires_at)
             values (gen_random_uuid(), 'w', 'a', 'test', 'infinity') returning id",
            &[],
        )
        .await
        .expect("register");
    let worker: i64 = worker.get(0);
    let mark = drain(&client, worker).await;
    enqueue(&client, LIVE).await;

    let from_mark = touched(&client, worker, mark).await;
    let from_beginning = touched(&client, worker, (DateTime::UNIX_EPOCH, 0)).await;
    assert!(
        from_mark * 5 < from_beginning,
        "{from_mark} blocks from the mark, {from_beginning} from the beginning"
    );
    idle.batch_execute("commit").await.expect("let go");
}

async fn enqueue(client: &Client, jobs: i64) {
    let insert = "insert into onefold.job (queue, kind, kind_version, priority, run_at, attempts_max, args)
                  select 'default', 'k.v1', 1, 2, statement_timestamp(), 8, '{}' from generate_series(1, $1::bigint)";
    client.execute(insert, &[&jobs]).await.expect("enqueue");
}

type Mark = (DateTime<Utc>, i64);

/// Fetches and completes everything, and answers the last row's place.
async fn drain(client: &Client, worker: i64) -> Mark {
    let mut mark = (DateTime::UNIX_EPOCH, 0);
    loop {
        let rows = client
            .query(
                statements::FETCH,
                &[&worker, &vec!["default"], &vec![2_i16], &vec![mark.0], &vec![mark.1], &1000_i64],
            )
            .await
            .expect("fetch");
        if rows.is_empty() {
            return mark;
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.get("id")).collect();
        let runs: Vec<i32> = rows.iter().map(|row| row.get("run")).collect();
        let done = client.query(statements::DONE, &[&worker, &ids, &runs]).await.expect("complete");
        assert_eq!(done.len(), ids.len());
        mark = rows.iter().map(|row| (row.get("run_at"), row.get("id"))).max().expect("rows");
    }
}

/// Fetches ten jobs from `mark` on, and answers how many blocks that touched.
async fn touched(client: &Client, worker: i64, mark: Mark) -> i64 {
    let explain = format!("explain (analyze, buffers, format json) {}", statements::FETCH);
    let row = client
        .query_one(
            &explain,
            &[&worker, &vec!["default"], &vec![2_i16], &vec![mark.0], &vec![mark.1], &10_i64],
        )
        .await
        .expect("explain");
    let plan: serde_json::Value = row.get(0);
    let of = |counter: &str| plan[0]["Plan"][counter].as_i64().expect("a count");
    assert_eq!(of("Actual Rows"), 10);
    of("Shared Hit Blocks") + of("Shared Read Blocks")
}
