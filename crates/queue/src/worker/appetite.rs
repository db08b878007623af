//! How many jobs a worker asks for: its free slots, and a prefetch of at most one second's work.

use std::time::Duration;

/// What a worker holds at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Handlers that may run at once.
    pub(super) slots: usize,
    /// Jobs that run.
    pub(super) running: usize,
    /// Jobs that wait here for a slot.
    pub(super) waiting: usize,
    /// How long a job takes, lately; none before the first has ended.
    pub(super) mean_run: Option<Duration>,
}

/// How many jobs to fetch now; zero means not yet.
///
/// While every slot has work the fetch waits until half of the prefetch is used up, so that batches stay large.
pub(super) fn appetite(load: Load, batch_max: usize) -> usize {
    let prefetch = prefetch(load, batch_max);
    let held = load.running + load.waiting;
    let room = (load.slots + prefetch).saturating_sub(held);
    let idle = load.slots.saturating_sub(held);
    if idle > 0 || (room > 0 && room * 2 >= prefetch) { room.min(batch_max) } else { 0 }
}

/// One second's work at the present pace, at most two batches: one to run while the next is fetched.
fn prefetch(load: Load, batch_max: usize) -> usize {
    let Some(mean) = load.mean_run else { return 0 };
    let nanos = mean.as_nanos().max(1);
    let per_second = (load.slots as u128) * 1_000_000_000 / nanos;
    usize::try_from(per_second).unwrap_or(usize::MAX).min(batch_max * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_free_slots_and_one_second_of_work(
            slots in 1_usize..256, running in 0_usize..256, waiting in 0_usize..5000,
            micros in proptest::option::of(1_u64..10_000_000), batch_max in 1_usize..2000,
        ) {
            let running = running.min(slots);
            let mean_run = micros.map(Duration::from_micros);
            let load = Load { slots, running, waiting, mean_run };
            let wanted = appetite(load, batch_max);
            prop_assert!(wanted <= batch_max);
            let second = micros.map_or(0, |m| (slots as u64 * 1_000_000).div_ceil(m));
            let second = usize::try_from(second).unwrap();
            prop_assert!(wanted == 0 || running + waiting + wanted <= slots + second);
        }

        #[test]
        fn an_idle_slot_is_never_left_hungry(slots in 1_usize..256, running in 0_usize..255) {
            prop_assume!(running < slots);
            let load = Load { slots, running, waiting: 0, mean_run: None };
            prop_assert!(appetite(load, 1000) >= 1);
        }
    }

    #[test]
    fn slow_jobs_are_not_hoarded() {
        let mean_run = Some(Duration::from_mins(1));
        let load = Load { slots: 8, running: 8, waiting: 0, mean_run };
        assert_eq!(appetite(load, 1000), 0);
    }

    #[test]
    fn a_busy_worker_waits_for_a_large_batch() {
        let mean_run = Some(Duration::from_micros(50));
        let load = |waiting| Load { slots: 8, running: 8, waiting, mean_run };
        assert_eq!(appetite(load(1500), 1000), 0);
        assert_eq!(appetite(load(1000), 1000), 1000);
    }
}
