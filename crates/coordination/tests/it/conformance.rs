//! The engine Postgres passes the suite.

use crate::support::Stage;
use onefold_coordination::conformance as suite;

macro_rules! cases {
    ($($case:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            suite::$case(&Stage::new().await).await;
        }
    )*};
}

onefold_coordination::conformance_cases!(cases);
