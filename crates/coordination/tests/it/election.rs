//! Election, by the candidates' own clocks.

use crate::support::{PATIENCE, Stage, TestNode, now};
use onefold_coordination::{Config, Leader, Leadership};
use std::time::Duration;
use tokio::sync::watch;

fn quick() -> Config {
    Config { leader_ttl: Duration::from_secs(1), ..Config::default() }
}

fn stands(node: &TestNode) -> watch::Receiver<Leadership> {
    node.coordination.elect("cron", &node.node.name)
}

async fn leads(seat: &mut watch::Receiver<Leadership>) -> Leadership {
    let waiting = seat.wait_for(|seat| seat.leads());
    *tokio::time::timeout(PATIENCE, waiting).await.expect("a leader in time").unwrap()
}

#[tokio::test]
async fn a_leader_that_steps_down_is_replaced_at_once() {
    let stage = Stage::new().await;
    // A ttl that nobody waits for: only the hint of the release can be this quick.
    let config = Config { leader_ttl: Duration::from_mins(1), ..Config::default() };
    let (one, two) = (stage.node("one", &config).await, stage.node("two", &config).await);
    let mut first = stands(&one);
    let Leadership::Leader { token } = leads(&mut first).await else { unreachable!() };
    let mut second = stands(&two);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(*second.borrow(), Leadership::Follower);
    let leader = |node: &str| Leader { election: "cron".to_owned(), node: node.to_owned() };
    assert_eq!(two.coordination.leaders().await.unwrap(), [leader("one")]);
    drop(first);
    let Leadership::Leader { token: next } = leads(&mut second).await else { unreachable!() };
    assert!(next > token);
    assert_eq!(one.coordination.leaders().await.unwrap(), [leader("two")]);
}

#[tokio::test]
async fn a_crashed_leader_is_replaced_when_its_lease_has_ended() {
    let stage = Stage::new().await;
    let dying = stage.mortal("one", &quick(), stands).await;
    let mut first = dying.kept().0.clone();
    let Leadership::Leader { token } = leads(&mut first).await else { unreachable!() };
    let two = stage.node("two", &quick()).await;
    let mut second = stands(&two);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*second.borrow(), Leadership::Follower, "who renews keeps the seat");
    drop(first);
    dying.die();
    let died = now();
    let Leadership::Leader { token: next } = leads(&mut second).await else { unreachable!() };
    println!("a crashed leader is replaced after {:?}, ttl 1 s", died.elapsed());
    assert!(next > token);
}

#[tokio::test]
async fn a_node_that_stops_hands_its_seat_over() {
    let stage = Stage::new().await;
    let config = Config { leader_ttl: Duration::from_mins(1), ..Config::default() };
    let (one, two) = (stage.node("one", &config).await, stage.node("two", &config).await);
    let mut first = stands(&one);
    leads(&mut first).await;
    let mut second = stands(&two);
    assert!(one.node.tasks.stop(Duration::from_secs(5)).await, "every task of the node ends by itself");
    assert_eq!(*first.borrow(), Leadership::Follower);
    leads(&mut second).await;
}

/// The server is stopped, so that nobody can renew: the leader steps down by its own clock, and only then, when
/// the server is back, somebody leads again.
#[tokio::test]
async fn a_leader_that_cannot_renew_steps_down_before_its_lease_can_be_taken() {
    let stage = Stage::new().await;
    let (one, two) = (stage.node("one", &quick()).await, stage.node("two", &quick()).await);
    let mut first = stands(&one);
    let Leadership::Leader { token } = leads(&mut first).await else { unreachable!() };
    let mut second = stands(&two);
    stage.pause();
    let paused = now();
    tokio::time::timeout(PATIENCE, first.wait_for(|seat| !seat.leads())).await.unwrap().unwrap();
    assert!(paused.elapsed() < Duration::from_secs(1), "before the ttl is over: {:?}", paused.elapsed());
    assert_eq!(*second.borrow(), Leadership::Follower);
    stage.resume();
    let next = tokio::select! {
        seat = leads(&mut first) => seat,
        seat = leads(&mut second) => seat,
    };
    assert!(matches!(next, Leadership::Leader { token: next } if next > token), "{next:?}");
}

/// Each candidate, frozen again and again at any moment, writes down when it led by its own clock.
#[tokio::test]
async fn two_candidates_never_lead_at_once_by_their_own_clocks() {
    let stage = Stage::new().await;
    let nodes = [stage.node("one", &quick()).await, stage.node("two", &quick()).await];
    let mut seats: Vec<_> = nodes.iter().map(stands).collect();
    let started = now();
    let mut changes = 0;
    let mut paused = false;
    let mut last = None;
    while started.elapsed() < Duration::from_secs(6) {
        let leaders: Vec<_> =
            seats.iter_mut().map(|seat| *seat.borrow_and_update()).filter(|seat| seat.leads()).collect();
        assert!(leaders.len() < 2, "{leaders:?}");
        if leaders.first() != last.as_ref() && !leaders.is_empty() {
            (last, changes) = (leaders.first().copied(), changes + 1);
        }
        let should_pause = started.elapsed().as_millis() % 2500 > 1200;
        if should_pause != paused {
            if should_pause {
                stage.pause();
            } else {
                stage.resume();
            }
            paused = should_pause;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stage.resume();
    assert!(changes >= 2, "somebody led again after a pause: {changes}");
}
