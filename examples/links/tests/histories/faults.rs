//! Processes that die, and processes that hang, one at a time, drawn from a seed.

use crate::recovery::serves_again;
use nix::sys::signal::Signal;
use onefold::testing::{ProcessStatus, TestSystem, signal_all};
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
    let is_meant = |node: &ProcessStatus| match fault {
        Fault::Dies(name) | Fault::Hangs(name, _) => node.name.as_str() == name,
        Fault::PrimaryDies => node.role == "primary",
    };
    let meant: Vec<ProcessStatus> = system.nodes().into_iter().filter(is_meant).collect();
    assert!(meant.iter().any(|node| node.pid.is_some()), "{fault:?}: nobody runs");
    if let Fault::Hangs(_, how_long) = fault {
        signal_all(&meant, Signal::SIGSTOP);
        tokio::time::sleep(how_long).await;
        signal_all(&meant, Signal::SIGCONT);
        serves_again(system, &[], SOON).await;
    } else {
        signal_all(&meant, Signal::SIGKILL);
        serves_again(system, &meant, SOON).await;
    }
}
