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

onefold_coordination::conformance_cases!(cases);
