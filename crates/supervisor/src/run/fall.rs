//! What an ended start or life means: the end of a first start, or another try.

use crate::error::Error;
use crate::event::Event;
use crate::exit::Exit;
use crate::log::Log;
use crate::status::Phase;
use onefold_core::NodeName;
use onefold_core::process::{ProcessError, Recall};
use std::time::Duration;

/// A process that was never ready is given up after so many deaths.
const FIRST_DEATHS_MAX: u32 = 3;

/// One that was ready before is shown as failed after so many, with its log; it is tried again all the same.
const DEATHS_SHOWN: u32 = 5;

/// The exit status by which a program says that its command line or configuration is wrong.
const MISCONFIGURED: Exit = Exit::Status(2);

/// Why a start, or a life, came to its end.
#[derive(Debug)]
pub(crate) enum Fall {
    /// The process ended.
    Died(Exit),
    /// It cannot be prepared, spawned or used.
    Unusable(ProcessError),
    /// It was not ready in time.
    TooLate(String),
    /// It ran, and was ended for this.
    Recalled(Recall),
}

impl Fall {
    /// Whether somebody wanted it: it counts as no death.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self, Self::Recalled(Recall::Wanted(_)))
    }
}

/// A fall with what is known about it.
pub(crate) struct Scene<'a> {
    pub(crate) name: &'a NodeName,
    pub(crate) log: &'a Log,
    /// The size of the log when this start began.
    pub(crate) log_start: u64,
    /// How many falls in a row, this one included.
    pub(crate) deaths: u32,
    pub(crate) fall: Fall,
}

impl Scene<'_> {
    /// The error with which a first start ends, unless it is worth another try.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.fall {
            Fall::Unusable(ProcessError::Unusable { problem, fix }) => {
                let source = ProcessError::unusable(problem, fix);
                Some(Error::Unusable { name: self.name.clone(), source })
            }
            Fall::Unusable(other) => Some(self.not_started(other.to_string(), false)),
            Fall::TooLate(reason) => Some(self.not_started(reason.clone(), false)),
            Fall::Died(exit) if *exit == MISCONFIGURED => Some(self.not_started(exit.to_string(), true)),
            Fall::Died(exit) if self.deaths >= FIRST_DEATHS_MAX => {
                Some(self.not_started(exit.to_string(), false))
            }
            Fall::Died(_) | Fall::Recalled(_) => None,
        }
    }

    fn not_started(&self, reason: String, misconfigured: bool) -> Error {
        Error::NotStarted {
            name: self.name.clone(),
            reason,
            log: self.log.path().to_owned(),
            lines: self.log.tail(self.log_start),
            misconfigured,
        }
    }

    /// What the status shows until the next start has succeeded.
    pub(crate) fn phase(&self) -> Phase {
        match self.fall {
            Fall::Died(_) | Fall::Recalled(_) if self.deaths < DEATHS_SHOWN => Phase::Restarting,
            _ => Phase::Failed,
        }
    }

    /// What is told of it.
    pub(crate) fn event(&self, restart_in: Duration) -> Event {
        let name = self.name.clone();
        match &self.fall {
            Fall::Died(_) | Fall::Recalled(Recall::Broken(_)) if self.deaths == DEATHS_SHOWN => {
                Event::CrashLoop {
                    name,
                    deaths: self.deaths,
                    log: self.log.path().to_owned(),
                    lines: self.log.tail(self.log_start),
                }
            }
            Fall::Died(exit) => Event::Died { name, exit: *exit, restart_in },
            Fall::Recalled(Recall::Broken(reason)) => {
                Event::Broken { name, reason: reason.clone(), restart_in }
            }
            Fall::Recalled(Recall::Wanted(reason)) => Event::Recalled { name, reason: reason.clone() },
            Fall::TooLate(reason) => Event::Hindered { name, reason: reason.clone() },
            Fall::Unusable(error) => Event::Hindered { name, reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(deaths: u32, fall: Fall, check: impl FnOnce(Scene)) {
        let home = tempfile::tempdir().unwrap();
        let (name, log) = ("app-a".parse().unwrap(), Log::new(home.path(), "app-a"));
        check(Scene { name: &name, log: &log, log_start: 0, deaths, fall });
    }

    #[test]
    fn a_first_start_ends_at_once_where_only_the_user_can_help() {
        let unusable = Fall::Unusable(ProcessError::unusable("no Postgres", "install it"));
        scene(1, unusable, |scene| assert_eq!(scene.failure().unwrap().exit_status(), 2));
        scene(1, Fall::Died(Exit::Status(2)), |scene| assert_eq!(scene.failure().unwrap().exit_status(), 2));
        scene(1, Fall::Died(Exit::Status(1)), |scene| assert!(scene.failure().is_none()));
        scene(3, Fall::Died(Exit::Signal(9)), |scene| assert_eq!(scene.failure().unwrap().exit_status(), 1));
    }

    #[test]
    fn what_is_wanted_is_no_death() {
        let wanted = || Fall::Recalled(Recall::Wanted("app-b takes over".to_owned()));
        assert!(wanted().is_wanted() && !Fall::Died(Exit::Signal(9)).is_wanted());
        scene(0, wanted(), |scene| {
            assert_eq!(scene.phase(), Phase::Restarting);
            let told = scene.event(Duration::ZERO).to_string();
            assert_eq!(told, "app-a was stopped: app-b takes over");
        });
    }

    #[test]
    fn a_crash_loop_is_shown_once() {
        let died = || Fall::Died(Exit::Signal(11));
        scene(4, died(), |scene| {
            assert_eq!(scene.phase(), Phase::Restarting);
            assert!(matches!(scene.event(Duration::ZERO), Event::Died { .. }));
        });
        scene(5, died(), |scene| {
            assert_eq!(scene.phase(), Phase::Failed);
            assert!(matches!(scene.event(Duration::ZERO), Event::CrashLoop { deaths: 5, .. }));
        });
        scene(6, died(), |scene| assert!(matches!(scene.event(Duration::ZERO), Event::Died { .. })));
    }
}
