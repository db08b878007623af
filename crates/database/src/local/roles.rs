//! Who is the primary, and who was led to it: what every server of the cluster asks before it starts.

use super::failover::Choice;
use super::term::{self, Term};
use onefold_core::NodeName;
use onefold_core::process::ProcessError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// The roles of all servers, by their places in the plan.
#[derive(Debug)]
pub(crate) struct Roles {
    home: PathBuf,
    names: Vec<NodeName>,
    term: watch::Sender<Term>,
    /// The epoch in which a server was last led to the primary.
    led: Mutex<BTreeMap<usize, u64>>,
}

impl Roles {
    /// The roles of the cluster in `home`; the first of a new one is its primary.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where the primary is not among the names.
    pub(crate) fn load(home: &Path, names: Vec<NodeName>, has_lived: bool) -> Result<Self, ProcessError> {
        let first = names.first().ok_or_else(|| ProcessError::not_yet("no server is planned"))?;
        let mut term = Term::load(home, standing_primary(home, &names).unwrap_or(first).clone())?;
        if !has_lived {
            term.primary.clone_from(first);
        }
        if !names.contains(&term.primary) {
            return Err(ProcessError::unusable(
                format!("database.replicas leaves no place for {}, which is the primary", term.primary),
                format!("start with more replicas, run `database switchover --to {first}`, and start again"),
            ));
        }
        term.save(home)?;
        // In an earlier life any of them may have acknowledged commits of this epoch.
        let led = (0..names.len()).filter(|_| has_lived).map(|server| (server, term.epoch)).collect();
        let (term, led) = (watch::Sender::new(term), Mutex::new(led));
        Ok(Self { home: home.to_owned(), names, term, led })
    }

    /// The present epoch.
    pub(crate) fn term(&self) -> Term {
        self.term.borrow().clone()
    }

    /// The present epoch, and every later one.
    pub(crate) fn watch(&self) -> watch::Receiver<Term> {
        self.term.subscribe()
    }

    /// The chosen primary.
    pub(crate) fn primary(&self) -> usize {
        let term = self.term.borrow();
        // It is one of them: see `load` and `choose`.
        self.names.iter().position(|name| *name == term.primary).unwrap_or_default()
    }

    /// Writes a choice down; from here on it holds, whatever dies.
    pub(crate) fn choose(&self, choice: Choice) -> Result<(), ProcessError> {
        self.enter(self.term().next(self.names[choice.server].clone(), choice.held))
    }

    /// Publishes that the chosen primary takes writes.
    pub(crate) fn note_promoted(&self) -> Result<(), ProcessError> {
        self.enter(Term { promoted: true, ..self.term() })
    }

    /// Writes down whether the primary may have acknowledged what no replica has; then nobody else may be chosen.
    pub(crate) fn note_alone(&self, alone: bool) -> Result<(), ProcessError> {
        self.enter(Term { alone, ..self.term() })
    }

    fn enter(&self, term: Term) -> Result<(), ProcessError> {
        if self.term() != term {
            term.save(&self.home)?;
            self.term.send_replace(term);
        }
        Ok(())
    }

    /// Notes that a server is being led to the primary: from here on it may acknowledge commits of this epoch.
    pub(crate) fn lead(&self, server: usize) {
        let epoch = self.term.borrow().epoch;
        self.led.lock().unwrap_or_else(PoisonError::into_inner).insert(server, epoch);
    }

    /// All that may have acknowledged commits of the present epoch, dead or alive; none where the primary was alone.
    pub(crate) fn followers(&self) -> Vec<usize> {
        let (Term { epoch, alone, .. }, primary) = (self.term(), self.primary());
        if alone {
            return Vec::new();
        }
        let led = self.led.lock().unwrap_or_else(PoisonError::into_inner);
        led.iter()
            .filter(|&(server, led)| *led == epoch && *server != primary)
            .map(|(server, _)| *server)
            .collect()
    }

    /// Where the epoch is published.
    pub(crate) fn file(&self) -> PathBuf {
        term::path(&self.home)
    }
}

/// The primary of a cluster from before there were epochs: the server that is no standby by its own files.
fn standing_primary<'a>(home: &Path, names: &'a [NodeName]) -> Option<&'a NodeName> {
    let data = |name: &NodeName| home.join(name.as_str());
    names.iter().find(|name| data(name).exists() && !data(name).join("standby.signal").exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Lsn;

    fn names(count: usize) -> Vec<NodeName> {
        (1..=count).map(|number| format!("postgres-{number}").parse().unwrap()).collect()
    }

    #[test]
    fn a_choice_outlives_everything_and_followers_are_those_of_its_epoch() {
        let home = tempfile::tempdir().unwrap();
        let roles = Roles::load(home.path(), names(3), false).unwrap();
        roles.lead(1);
        assert_eq!((roles.primary(), roles.followers()), (0, vec![1]));
        roles.choose(Choice { server: 2, held: Lsn(77) }).unwrap();
        assert_eq!((roles.primary(), roles.followers()), (2, vec![]), "nobody was led to it yet");
        roles.lead(1);
        assert_eq!(roles.followers(), [1]);
        assert!(!roles.term().promoted);
        roles.note_promoted().unwrap();
        roles.note_alone(true).unwrap();
        assert!(roles.followers().is_empty(), "nobody can take over from one that was alone");
        roles.note_alone(false).unwrap();

        let again = Roles::load(home.path(), names(3), true).unwrap();
        assert_eq!(again.term(), roles.term());
        assert_eq!(again.followers(), [0, 1], "both may have followed in the earlier life");
        let refused = Roles::load(home.path(), names(2), true).unwrap_err().to_string();
        assert!(refused.contains("postgres-3") && refused.contains("switchover"), "{refused}");
        assert_eq!(Roles::load(home.path(), names(2), false).unwrap().primary(), 0, "a new cluster");
    }

    #[test]
    fn without_an_epoch_the_data_directories_say_who_is_the_primary() {
        let home = tempfile::tempdir().unwrap();
        for name in names(2) {
            std::fs::create_dir(home.path().join(name.as_str())).unwrap();
        }
        std::fs::write(home.path().join("postgres-1/standby.signal"), "").unwrap();
        assert_eq!(Roles::load(home.path(), names(2), true).unwrap().primary(), 1);
    }
}
