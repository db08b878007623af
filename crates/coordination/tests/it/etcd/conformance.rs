//! The engine etcd passes the suite: all cases at once on one member, each with a prefix of its own.

use super::servers::Servers;
use super::stage::Stage;
use onefold_coordination::conformance as suite;

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        #[tokio::test]
        async fn etcd_passes_the_suite() {
            let stage = Stage::new(Servers::one()).await;
            tokio::join!($(async {
                suite::$case(&stage.case(stringify!($case))).await;
                println!("passed: {}", stringify!($case));
            }),*);
        }
    };
}

cases!(
    eight_concurrent_writers_lose_no_event_to_a_watcher,
    compare_and_set_refuses_the_second_writer,
    a_transaction_that_changes_nothing_takes_no_revision,
    a_watch_resumes_from_a_revision,
    a_compacted_position_is_answered_so_and_the_history_stays,
    a_position_of_another_epoch_is_answered_with_elsewhere,
    the_history_says_who_and_why,
    an_expired_lease_is_taken_over_with_a_larger_token,
    one_of_many_gets_a_free_lease,
    a_released_lease_is_hinted_and_free,
    a_takeover_waits_for_a_fenced_transaction_and_a_renewal_does_not,
    a_fence_refuses_a_lease_that_is_lost,
    a_key_ends_with_its_lease,
);
