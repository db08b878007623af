//! `doctor`: checks the machine, the engines and their settings, and says what to fix.

#[cfg(feature = "etcd")]
mod etcd;
mod finding;
#[cfg(feature = "nats")]
mod nats;
mod observer;
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod system;

use super::Place;
use super::exit::Failure;
use super::output;
use super::reach;
use crate::App;

pub(super) fn run(app: &App, place: &Place) -> Result<(), Failure> {
    let findings = reach::with_or_without_primary(app, place, async |reach| {
        // It waits for a primary: only then is it known which servers answer.
        let is_there = reach.database.shared().await.is_ok();
        let mut findings = Vec::from_iter(system::check());
        findings.extend(postgres::servers(&reach));
        #[cfg(feature = "etcd")]
        findings.extend(etcd::check(&reach).await);
        if is_there {
            findings.push(system::members(&reach).await);
            findings.extend(postgres::check(app, &reach).await);
        }
        #[cfg(feature = "nats")]
        findings.extend(nats::check(&reach.topology).await);
        #[cfg(feature = "redis")]
        findings.extend(redis::check(&reach.topology).await);
        if place.topology.is_none() {
            findings.extend(observer::check(&place.state).await);
        }
        Ok(findings)
    })?;
    for finding in &findings {
        output::line(finding)?;
    }
    let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
    if wrong == 0 {
        Ok(())
    } else {
        Err(Failure::Failed(format!("{wrong} of {} checks found something to fix", findings.len())))
    }
}
