//! A cluster's birth, its resumption, and what becomes of replicas.

use crate::cluster::{Cluster, children_of, connect, engines_home, program, signal, until};
use onefold_supervisor::{State, state};
use std::io::Read as _;
use std::process::{Command, Stdio};

#[tokio::test]
async fn a_new_cluster_has_two_synchronous_replicas_checksums_and_passwords() {
    let cluster = Cluster::start();
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    let settings = "select current_setting('data_checksums'), current_setting('synchronous_commit'),
        current_setting('synchronous_standby_names'), current_setting('hot_standby_feedback'),
        pg_encoding_to_char(encoding) from pg_database where datname = current_database()";
    let row = application.query_one(settings, &[]).await.unwrap();
    let shown: Vec<String> = (0..5).map(|column| row.get(column)).collect();
    let names = r#"ANY 1 ("postgres-1", "postgres-2", "postgres-3")"#;
    assert_eq!(shown, ["on", "remote_apply", names, "off", "UTF8"]);

    application.batch_execute("create table t (x int); insert into t values (42)").await.unwrap();
    for replica in ["postgres-2", "postgres-3"] {
        let replica = cluster.application(replica).await;
        until(async || {
            replica.query_one("select x from t", &[]).await.is_ok_and(|row| row.get::<_, i32>(0) == 42)
        })
        .await;
        assert!(replica.execute("insert into t values (1)", &[]).await.is_err(), "it only reads");
    }

    let url = std::fs::read_to_string(cluster.state().join("secrets/postgres-1.url")).unwrap();
    let (user, rest) = (url.find("onefold:").unwrap(), url.find('@').unwrap());
    let without = format!("{}onefold:wrong{}", &url[..user], url[rest..].trim());
    let refused = connect(&without).await.err().unwrap();
    assert_eq!(refused.code().unwrap().code(), "28P01");
    let admin = cluster.admin("postgres-1").await;
    let weak = "select count(*) from pg_authid where rolcanlogin and rolpassword not like 'SCRAM-SHA-256$%'";
    assert_eq!(admin.query_one(weak, &[]).await.unwrap().get::<_, i64>(0), 0);
    let open = "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'";
    assert_eq!(admin.query_one(open, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn data_outlives_a_stop_and_a_kill_of_everything() {
    let mut cluster = Cluster::start();
    let application = cluster.application("postgres-1").await;
    application.batch_execute("create table t (x int); insert into t values (1)").await.unwrap();
    cluster.end("TERM");
    cluster.resume();
    let application = cluster.application("postgres-1").await;
    application.execute("insert into t values (2)", &[]).await.unwrap();
    cluster.end("KILL");
    cluster.resume();
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    application.execute("insert into t values (3)", &[]).await.unwrap();
    let row = application.query_one("select array_agg(x order by x) from t", &[]).await.unwrap();
    assert_eq!(row.get::<_, Vec<i32>>(0), [1, 2, 3]);
}

#[tokio::test]
async fn a_killed_replica_costs_no_write_and_comes_back() {
    let mut cluster = Cluster::start();
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    application.batch_execute("create table t (x int)").await.unwrap();
    signal(cluster.pid_of("postgres-2"), "KILL");
    cluster.hears("postgres-2 died (SIGKILL)");
    application.execute("insert into t values (1)", &[]).await.unwrap();
    cluster.hears("postgres-2 is back");
    cluster.both_follow().await;

    assert_eq!(cluster.roles(), ["primary", "replica", "replica"]);
}

#[tokio::test]
async fn a_replica_that_lost_its_data_gets_it_from_the_primary() {
    let mut cluster = Cluster::start();
    let application = cluster.application("postgres-1").await;
    application.batch_execute("create table t (x int); insert into t values (7)").await.unwrap();
    cluster.end("TERM");
    std::fs::remove_dir_all(engines_home(&cluster.state()).join("postgres-3")).unwrap();
    cluster.resume();
    cluster.both_follow().await;
    let replica = cluster.application("postgres-3").await;
    assert_eq!(replica.query_one("select x from t", &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_replica_whose_wal_is_gone_is_made_anew() {
    let mut cluster = Cluster::start();
    cluster.both_follow().await;
    let primary = cluster.admin("postgres-1").await;
    primary.batch_execute("create table t as select 7 as x").await.unwrap();
    primary.batch_execute("alter system set max_slot_wal_keep_size = '1MB'").await.unwrap();
    primary.batch_execute("alter system set wal_keep_size = 0").await.unwrap();
    primary.batch_execute("select pg_reload_conf()").await.unwrap();
    let paused = cluster.pid_of("postgres-3");
    signal(paused, "STOP");
    for receiver in children_of(paused) {
        signal(receiver, "STOP");
    }
    let lost = "select wal_status = 'lost' from pg_replication_slots where slot_name = 'postgres_3'";
    until(async || {
        primary.batch_execute("insert into t values (8); select pg_switch_wal(); checkpoint").await.is_err()
            || primary.query_one(lost, &[]).await.unwrap().get::<_, bool>(0)
    })
    .await;
    signal(paused, "KILL");
    cluster.hears("postgres-3 is back");
    cluster.both_follow().await;
    let replica = cluster.admin("postgres-3").await;
    assert_eq!(replica.query_one("select min(x) from t", &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_cluster_may_shrink_to_one_server_and_grow_again() {
    let mut cluster = Cluster::start();
    cluster.application("postgres-1").await.batch_execute("create table t (x int)").await.unwrap();
    cluster.end("TERM");
    cluster.resume_with(0);
    cluster.application("postgres-1").await.batch_execute("insert into t values (1)").await.unwrap();
    let slots = "select count(*) from pg_replication_slots";
    let admin = cluster.admin("postgres-1").await;
    assert_eq!(admin.query_one(slots, &[]).await.unwrap().get::<_, i64>(0), 0, "no WAL is kept for nobody");
    assert!(!engines_home(&cluster.state()).join("postgres-2").exists());
    cluster.end("TERM");
    cluster.resume();
    cluster.both_follow().await;
    let replica = cluster.application("postgres-2").await;
    assert_eq!(replica.query_one("select x from t", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[test]
fn a_missing_postgres_says_how_to_get_one() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let mut child =
        Command::new(program()).arg(&state).arg("2").arg(home.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(said.starts_with("database.binaries: ") && said.contains("apt-get install"), "{said}");
    assert!(State::claim(&state).is_ok(), "nothing holds the state");
    state::remove(&state).unwrap();
}
