//! Plans that were made while the queue was empty must still be right in a burst.

use crate::bare;
use onefold_queue::admin::COUNTED_MAX;
use onefold_queue::postgres::statements;
use tokio_postgres::Client;

/// Statements of the hot path with values of their types, as `execute` takes them.
const HOT: [(&str, &str, &str); 7] = [
    ("hot_fetch", statements::FETCH, "1, '{default}', '{2}', '{epoch}', '{0}', 500"),
    ("hot_next_due", statements::NEXT_DUE, "'{default}', '{2}'"),
    ("hot_done", statements::DONE, "1, '{1}', '{1}'"),
    ("hot_record", statements::RECORD, "1, '{1}', '{1}', '{5}', '{false}'"),
    ("hot_put_back", statements::PUT_BACK, "1, '{1}', '{1}', '{0}', '{5}', '{0}', '{null}'"),
    ("hot_die", statements::DIE, "1, '{1}', '{1}', array['{}'::jsonb]"),
    ("hot_unpark", statements::UNPARK, "'{k.v1}', '{1}'"),
];

#[tokio::test]
async fn hot_statements_never_scan_the_table_whatever_its_statistics_say() {
    let (_server, client) = bare().await;
    client.batch_execute("set plan_cache_mode = force_generic_plan").await.expect("set");
    for (name, statement, _) in HOT {
        client.batch_execute(&format!("prepare {name} as {statement}")).await.expect(name);
    }
    let fresh = "select";
    // Vacuum finds no row and would give the pages back, and the planner then takes the table for nothing.
    for statistics in [fresh, "vacuum analyze onefold.job", "vacuum freeze onefold.job"] {
        client.batch_execute(statistics).await.expect(statistics);
        for (name, _, values) in HOT {
            let plan = plan(&client, name, values).await;
            assert!(!plan.contains("Seq Scan on job"), "{name} after `{statistics}`:\n{plan}");
            // Without an index condition it walks the whole index.
            let walks = plan
                .lines()
                .zip(plan.lines().skip(1))
                .any(|(scan, next)| scan.contains("using job_pkey on job") && !next.contains("Index Cond"));
            assert!(!walks, "{name} after `{statistics}`:\n{plan}");
        }
    }
}

async fn plan(client: &Client, name: &str, values: &str) -> String {
    let rows = client.query(&format!("explain execute {name}({values})"), &[]).await.expect(name);
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

/// What the page of jobs asks, again and again.
const LOOKED_AT: [(&str, &str, &str); 4] = [
    ("look_depths", statements::DEPTHS_BOUNDED, ""),
    ("look_running", statements::LIST_RUNNING, "null, null, null, null, 20"),
    ("look_retrying", statements::LIST_RETRYING, "null, null, null, null, 20"),
    ("look_held", statements::LIST_HELD, "null, null, null, null, 20"),
];

/// Postgres' `jit_above_cost`.
const JIT_ABOVE_COST: f64 = 100_000.0;

#[tokio::test]
async fn a_look_at_the_jobs_touches_no_more_than_its_bound_of_those_that_wait() {
    let (_server, client) = bare().await;
    let insert = "insert into onefold.job (queue, kind, kind_version, priority, run_at, attempts_max, args)
                  select 'default', 'k.v1', 1, 2, statement_timestamp(), 8, '{}' from generate_series(1, 40000);
                  analyze onefold.job; set plan_cache_mode = force_generic_plan";
    client.batch_execute(insert).await.expect("enqueue");
    for (name, statement, values) in LOOKED_AT {
        client.batch_execute(&format!("prepare {name} as {statement}")).await.expect(name);
        let call = if values.is_empty() { name.to_owned() } else { format!("{name}({values})") };
        let explain = format!("explain (format json) execute {call}");
        let estimate: serde_json::Value = client.query_one(&explain, &[]).await.expect(name).get(0);
        let cost = estimate[0]["Plan"]["Total Cost"].as_f64().expect("a cost");
        assert!(cost < JIT_ABOVE_COST, "{name} would be compiled before it runs: {cost}");
        let explain = format!("explain (analyze, timing off, costs off) execute {call}");
        let rows = client.query(&explain, &[]).await.expect(name);
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
        assert!(!plan.contains("Seq Scan on job ("), "{name}:\n{plan}");
        let counts = plan.split("rows=").skip(1).filter_map(|rest| rest.split([' ', ')']).next());
        let most = counts.map(|count| count.parse::<u64>().expect("a number")).max();
        assert!(most.is_some_and(|most| most <= COUNTED_MAX), "{name} goes through {most:?}:\n{plan}");
    }
}
