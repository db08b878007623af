//! Settings: typed values that change at run time, validated before they are accepted, kept with their history.

mod admin;
mod follow;
mod live;
mod setting;

pub use admin::{NodeRevision, SettingValue, Source};
pub use follow::{Follow, SettingChange};
pub use live::SettingSpec;
pub use setting::{Check, Setting};

use crate::error::Error;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::typed::Typed;
use crate::wakes::Wakes;
use crate::watcher::{Projection, Watched};
use live::{Live, Registered};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::watch;

const KEYS: &str = "settings/";

/// The settings of the system. Cloning is cheap.
#[derive(Clone)]
pub struct Settings {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) watched: Arc<Watched>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) wakes: Arc<Wakes>,
}

/// What the program registered, with the values now.
#[derive(Default)]
pub(crate) struct Registry(RwLock<BTreeMap<&'static str, Arc<dyn Registered>>>);

impl Settings {
    /// Makes a setting known: from now on it has its value, can be set, and refuses what it does not accept.
    ///
    /// # Errors
    /// [`Error::Invalid`] where its default is not acceptable to itself, or its name belongs to another type.
    pub fn register<T: Typed>(&self, setting: &Setting<T>) -> Result<(), Error> {
        let live = Live::new(*setting);
        let default = T::write(&setting.default.value());
        let refuse = |problem: String| Err(Error::invalid("setting", setting.name, problem));
        if let Err(why) = live.accept(&default) {
            return refuse(format!("its default: {why}"));
        }
        let mut settings = self.registry.0.write().unwrap_or_else(PoisonError::into_inner);
        match settings.get(setting.name) {
            Some(known) if known.as_any().is::<Live<T>>() => return Ok(()),
            Some(_) => return refuse("two settings of different types have this name".into()),
            None => {}
        }
        live.apply(self.watched.snapshot().get(&key(setting.name)));
        settings.insert(setting.name, Arc::new(live));
        Ok(())
    }

    /// The value now: what is set, or the default.
    pub fn get<T: Typed>(&self, setting: &Setting<T>) -> T::Value {
        match self.live(setting, |live| live.value.borrow().clone()) {
            Some(value) => value,
            // Not registered: it has no value of its own, and is judged on the spot.
            None => self
                .watched
                .snapshot()
                .get(&key(setting.name))
                .and_then(|entry| setting.accept(&entry.value).ok())
                .unwrap_or_else(|| setting.default.value()),
        }
    }

    /// The value now and after each change; it must be registered.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not.
    pub fn watch<T: Typed>(&self, setting: &Setting<T>) -> Result<watch::Receiver<T::Value>, Error> {
        self.live(setting, |live| live.value.subscribe()).ok_or_else(|| self.unknown(setting.name))
    }

    fn live<T: Typed, R>(&self, setting: &Setting<T>, read: impl FnOnce(&Live<T>) -> R) -> Option<R> {
        self.registry.read().get(setting.name)?.as_any().downcast_ref().map(read)
    }

    fn registered(&self, name: &str) -> Result<Arc<dyn Registered>, Error> {
        let known = self.registry.read().get(name).cloned();
        known.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        Error::not_found("setting", name, self.registry.read().keys().copied())
    }
}

impl Registry {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<&'static str, Arc<dyn Registered>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Projection for Registry {
    fn apply(&self, snapshot: &Snapshot) {
        for (name, setting) in self.read().iter() {
            setting.apply(snapshot.get(&key(name)));
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.registry.read().keys()).finish()
    }
}

fn key(name: &str) -> String {
    format!("{KEYS}{name}")
}
