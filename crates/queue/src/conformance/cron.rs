//! Schedules fired by the leader.

use super::World;
use super::node::{Node, hasty, job, noting, producer};
use super::world::{Seen, until};
use crate::Schedule;
use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use onefold_core::Clock;
use std::time::Duration;

fn minutely() -> Vec<Schedule> {
    vec![Schedule::new("minutely", "* * * * *", job(1)).expect("an expression")]
}

fn to_next_minute(clock: &Clock) -> Duration {
    let now = DateTime::<Utc>::from(clock.wall());
    let next =
        now.with_second(0).and_then(|now| now.with_nanosecond(0)).expect("a minute") + TimeDelta::minutes(1);
    (next - now + TimeDelta::milliseconds(5)).to_std().expect("later")
}

/// Two nodes that both believe they lead make one job of one tick.
pub async fn two_leaders_fire_a_tick_once(world: World) {
    let clock = Clock::manual();
    world.store.schedule("minutely", clock.wall().into()).await.expect("make the schedule known");
    let nodes = [Node::start(&world, producer()).await, Node::start(&world, producer()).await];
    let _leading: Vec<_> = nodes.iter().map(|node| node.lead(minutely(), clock.clone())).collect();
    for ticks in 1..=3 {
        clock.advance(to_next_minute(&clock));
        until("the tick has fired", async || world.live().await == ticks).await;
    }
    let fired: u64 = nodes.iter().map(|node| node.counted("onefold_queue_cron_fired")).sum();
    assert_eq!((fired, world.live().await), (3, 3));
}

/// After an outage one job catches up, for the newest tick.
pub async fn outage_is_caught_up_by_one_job(world: World) {
    let clock = Clock::manual();
    let seen = Seen::default();
    let node = Node::start(&world, noting(hasty(), &seen)).await;
    let yesterday = DateTime::<Utc>::from(clock.wall()) - TimeDelta::days(1);
    world.store.schedule("minutely", yesterday).await.expect("make the schedule known");
    let _leading = node.lead(minutely(), clock.clone());
    until("it is caught up", async || world.live().await == 1).await;
    let last = world.store.schedule("minutely", yesterday).await.expect("ask");
    assert!(DateTime::<Utc>::from(clock.wall()) - last < TimeDelta::minutes(1), "{last}");
    assert_eq!(node.counted("onefold_queue_cron_fired"), 1);
}
