//! Alerts: rules in Prometheus' format, evaluated on the stored samples, shown, silenced, and sent to a webhook.
//!
//! Rules are checked when they are loaded; a rule whose expression fails later shows its error, and the others go on.
//! States, silences, and what the receiver knows survive a restart.

mod board;
mod evaluate;
mod humanize;
mod listing;
mod message;
mod notify;
mod rules;
mod silence;
mod state;
mod stored;
mod template;
mod webhook;
mod yaml;

pub(crate) use listing::{ListedAlert, ListedGroup, ListedRule};

pub use board::{Notifications, Overview, Shown, ShownSilence};
pub use rules::{Fault, RuleFaults};
pub use silence::{InvalidSilence, NewSilence};
pub use state::State;
pub use webhook::{Receiver, Webhook};

use super::samples::Samples;
use board::Board;
use message::{Message, Origin};
use onefold_core::{Clock, TaskGroup};
use rules::Group;
use state::Instance;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;
use stored::Stored;
use tokio::sync::watch;

/// What alerts need to know.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A file of rules instead of the built-in ones.
    pub rules: Option<PathBuf>,
    /// Who is told.
    pub receiver: Option<Receiver>,
    /// The console's address, for the links in what the receiver is sent.
    pub external_url: String,
}

/// All alerts. Cloning is cheap.
#[derive(Clone)]
pub struct Alerts(Arc<Inner>);

struct Inner {
    groups: Arc<[Group]>,
    board: Mutex<Board>,
    samples: Samples,
    receiver: Option<Receiver>,
    external_url: String,
    rules_from: String,
    /// The states' file.
    path: PathBuf,
    clock: Clock,
    changes: watch::Sender<u64>,
}

impl Alerts {
    /// Loads the rules, and the states that an earlier run left in `directory`.
    ///
    /// # Errors
    /// All mistakes in the file of rules.
    pub fn open(
        settings: Settings,
        directory: &Path,
        samples: Samples,
        clock: Clock,
    ) -> Result<Self, RuleFaults> {
        let Settings { rules, receiver, external_url } = settings;
        let groups: Arc<[Group]> = rules::load(rules.as_deref())?.into();
        let path = directory.join("alerts.json");
        let board = Board::new(Arc::clone(&groups), Stored::read(&path), receiver.is_some());
        Ok(Self(Arc::new(Inner {
            groups,
            board: Mutex::new(board),
            samples,
            receiver,
            external_url: external_url.trim_end_matches('/').to_owned(),
            rules_from: rules.map_or(rules::BUILT_IN.to_owned(), |path| path.display().to_string()),
            path,
            clock,
            changes: watch::Sender::new(0),
        })))
    }

    /// Evaluates rules and tells the receiver, until the group stops.
    pub fn start(&self, tasks: &TaskGroup) {
        tasks.spawn("alert rules", evaluate::run(Arc::clone(&self.0), tasks.stopping()));
        if let Some(receiver) = &self.0.receiver {
            let notify = notify::run(Arc::clone(&self.0), receiver.clone(), tasks.stopping());
            tasks.spawn("alert notifications", notify);
        }
    }

    /// All alerts and silences as they stand.
    pub fn list(&self) -> Overview {
        self.0.board().overview(&self.0.rules_from, self.0.now_ms())
    }

    /// All rules as Prometheus lists them.
    pub(crate) fn groups(&self) -> Vec<ListedGroup> {
        self.0.board().listed(&self.0.rules_from)
    }

    /// All alerts that are pending or fire, as Prometheus lists them.
    pub(crate) fn active(&self) -> Vec<ListedAlert> {
        self.0.board().active()
    }

    /// Silences the alerts that match, from now on.
    ///
    /// # Errors
    /// [`InvalidSilence`] names the field.
    pub fn silence(&self, new: NewSilence) -> Result<ShownSilence, InvalidSilence> {
        let id = uuid::Uuid::now_v7().to_string();
        let silence = self.0.board().silences.add(new, id, self.0.now_ms())?;
        self.0.save();
        self.0.changed();
        Ok(ShownSilence::of(&silence))
    }

    /// Ends a silence; `false` if there is none of this name.
    pub fn unsilence(&self, id: &str) -> bool {
        let there = self.0.board().silences.remove(id);
        if there {
            self.0.save();
            self.0.changed();
        }
        there
    }

    /// Sends the receiver a notification that says it is a test.
    ///
    /// # Errors
    /// Why it did not arrive, in words for the one who asked.
    pub async fn test(&self) -> Result<(), String> {
        let Some(receiver) = &self.0.receiver else {
            return Err("no receiver is set: name one under [observer] webhook".to_owned());
        };
        let instance = Instance::test(self.0.now_ms());
        let origin = Origin { external_url: &self.0.external_url, group: "test", expression: "vector(1)" };
        let message = Message::new(&[instance], "TestNotification", &origin);
        self.0.send(receiver, &message).await
    }

    /// Counts up when a state, an error or a silence changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }
}

impl Inner {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn save(&self) {
        let stored = self.board().stored();
        if let Err(error) = stored.write(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "the states of alerts cannot be stored");
        }
    }
}

#[cfg(test)]
mod tests;
