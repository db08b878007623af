//! What every engine must keep, one case for each promise. Public, so that an engine of one's own can be held
//! to it:
//!
//! ```text
//! async fn world() -> World { World::new(connect, servers).await }
//! onefold_queue::conformance!(world);
//! ```
//!
//! A case gets a [`World`] of its own: a migrated database and an engine with nothing in it. Nodes are real
//! ones (queue, worker, leader over the engine); a killed one loses its whole runtime at once. Cases wait for a
//! state with a deadline and never sleep for luck.

mod cron;
mod delivery;
mod faulty;
mod history;
mod lease;
mod node;
mod order;
mod people;
mod retry;
mod stop;
mod transaction;
mod unique;
mod wake;
mod world;

pub use cron::*;
pub use delivery::*;
pub use history::*;
pub use lease::*;
pub use order::*;
pub use people::*;
pub use retry::*;
pub use stop::*;
pub use transaction::*;
pub use unique::*;
pub use wake::*;

pub use faulty::{Faulty, Renewals};
pub use node::Node;
pub use world::{Connect, Engine, World};

/// One test for each case, each in a world that `$world()` makes.
#[macro_export]
macro_rules! conformance {
    ($world:path) => {
        $crate::conformance! { @each $world:
            rolled_back_job_is_never_seen,
            committed_job_runs,
            job_is_delivered_though_its_worker_died,
            rescued_job_is_not_settled_by_its_old_worker,
            worker_that_lost_its_lease_goes_on_under_a_new_one,
            worker_that_cannot_renew_cancels_its_handlers,
            ten_thousand_jobs_are_applied_once_though_a_lease_ends,
            last_attempt_of_a_dead_worker_makes_a_dead_letter,
            better_priority_runs_first,
            scheduled_job_does_not_run_before_its_time,
            queues_of_one_worker_share_it_fairly,
            job_is_unique_while_it_lives,
            job_is_unique_for_a_window,
            duplicates_within_one_batch_are_told_apart,
            failed_job_is_retried_and_then_dead_with_its_history,
            dead_letter_is_replayed_under_its_id,
            panic_and_timeout_are_failures,
            snooze_counts_no_attempt,
            job_is_dead_at_once_where_its_handler_says_so,
            unknown_kind_is_held_until_a_worker_knows_it,
            newer_layout_is_held_until_a_worker_knows_it,
            two_leaders_fire_a_tick_once,
            outage_is_caught_up_by_one_job,
            inbox_applies_once_over_redelivery,
            completion_commits_with_the_effects,
            completion_that_is_not_committed_is_a_failure,
            completion_in_a_transaction_is_refused_after_a_rescue,
            graceful_stop_gives_back_what_was_prefetched,
            running_job_is_given_back_when_the_grace_is_over,
            buffered_jobs_are_stored_before_the_node_stops,
            full_buffer_drops_and_counts,
            hint_of_another_node_wakes_a_worker,
            job_of_the_same_node_wakes_its_worker,
            trace_session_and_deadline_travel_with_the_job,
            history_keeps_what_the_policy_asks_for,
            waiting_and_running_jobs_are_cancelled,
            waiting_job_is_retried_now,
            depths_count_every_state,
        }
    };
    (@each $world:path: $($case:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::conformance::$case($world().await).await;
        }
    )*};
}
