//! Processes that die, and processes that hang, one at a time, drawn from a seed.

use nix::sys::signal::Signal;
use onefold::testing::{Phase, TestSystem, eventually};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// `SIGKILL`.
    Dies(&'static str),
    /// `SIGSTOP`, and `SIGCONT` after this.
    Hangs(&'static str, Duration),
    /// Whichever server is the primary.
    PrimaryDies,
}

const ALL: &[Fault] = &[
    Fault::Dies("app-a"),
    Fault::Dies("worker-1"),
    Fault::Dies("postgres-3"),
    Fault::Dies("balancer"),
    Fault::Dies("observer-1"),
    Fault::PrimaryDies,
    Fault::Hangs("app-b", Duration::from_millis(1_500)),
    Fault::Hangs("worker-2", Duration::from_millis(1_500)),
];

pub(crate) struct Faults(StdRng);

impl Faults {
    pub(crate) fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Each fault once, in an order of chance.
    pub(crate) async fn each_once(&mut self, system: &TestSystem) {
        let mut all = ALL.to_vec();
        all.shuffle(&mut self.0);
        for fault in all {
            happens(system, fault).await;
        }
    }

    /// One after the other, for so long.
    #[expect(clippy::disallowed_methods, reason = "a soak is as long as it is asked to be")]
    pub(crate) async fn at_random(&mut self, system: &TestSystem, how_long: Duration) {
        let began = Instant::now();
        while began.elapsed() < how_long {
            let fault = *ALL.choose(&mut self.0).unwrap();
            happens(system, fault).await;
            tokio::time::sleep(Duration::from_millis(self.0.random_range(0..3_000))).await;
        }
    }
}

/// It happens, and is over when the process serves again.
async fn happens(system: &TestSystem, fault: Fault) {
    eprintln!("{fault:?}");
    match fault {
        Fault::Dies(name) => dies(system, name).await,
        Fault::PrimaryDies => {
            let primary = system.nodes().into_iter().find(|node| node.role == "primary").unwrap();
            dies(system, primary.name.as_str()).await;
        }
        Fault::Hangs(name, how_long) => {
            system.signal(name, Signal::SIGSTOP);
            tokio::time::sleep(how_long).await;
            system.signal(name, Signal::SIGCONT);
        }
    }
    eventually(SOON, "every process serves again", async || {
        let nodes = system.nodes();
        nodes.iter().all(|node| node.state == Phase::Ready) && nodes.iter().any(|node| node.role == "primary")
    })
    .await;
}

async fn dies(system: &TestSystem, name: &str) {
    let before = system.node(name);
    system.kill(name);
    eventually(SOON, "the process is started again", async || {
        let node = system.node(name);
        node.pid.is_some() && node.pid != before.pid
    })
    .await;
}
