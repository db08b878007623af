//! A registered setting with its value now.

use super::setting::Setting;
use crate::store::Entry;
use crate::typed::Typed;
use serde::Serialize;
use serde_json::Value as Json;
use std::any::Any;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// What a setting is, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// What holds where nothing is set.
    pub default: Json,
}

/// A registered setting of any type.
pub(super) trait Registered: Send + Sync {
    fn spec(&self) -> SettingSpec;

    /// Judges a value before it is stored; a text says what would be right.
    fn accept(&self, json: &Json) -> Result<(), String>;

    /// Takes over what is stored now; none for nothing.
    fn apply(&self, stored: Option<&Entry>);

    /// Why what is stored is not in force, if it is not.
    fn fault(&self) -> Option<String>;

    fn as_any(&self) -> &dyn Any;
}

/// A setting with its value.
pub(super) struct Live<T: Typed> {
    setting: Setting<T>,
    pub(super) value: watch::Sender<T::Value>,
    fault: Mutex<Option<String>>,
}

impl<T: Typed> Live<T> {
    pub(super) fn new(setting: Setting<T>) -> Self {
        Self { setting, value: watch::channel(setting.default.value()).0, fault: Mutex::default() }
    }
}

impl<T: Typed> Registered for Live<T> {
    fn spec(&self) -> SettingSpec {
        SettingSpec {
            name: self.setting.name,
            description: self.setting.description,
            takes: T::WORDS,
            default: T::write(&self.setting.default.value()),
        }
    }

    fn accept(&self, json: &Json) -> Result<(), String> {
        self.setting.accept(json).map(drop)
    }

    fn apply(&self, stored: Option<&Entry>) {
        let value = match stored {
            None => Ok(self.setting.default.value()),
            Some(entry) => self.setting.accept(&entry.value),
        };
        let fault = match value {
            Ok(value) => {
                self.value.send_if_modified(|current| {
                    let changed = *current != value;
                    *current = value;
                    changed
                });
                None
            }
            // Another build accepted it: what was in force stays.
            Err(why) => Some(why),
        };
        let mut kept = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = fault.as_deref().filter(|_| *kept != fault) {
            tracing::warn!(
                setting = self.setting.name,
                error = why,
                "setting is not applied: what was in force stays"
            );
        }
        *kept = fault;
    }

    fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LIMIT: Setting<i64> = Setting::new("limit", 10).range(1, 100);

    fn stored(value: Json) -> Entry {
        Entry { key: "settings/limit".into(), value: value.into(), created: 1, revision: 1, lease: None }
    }

    #[test]
    fn a_value_is_judged_before_it_is_accepted() {
        let live = Live::new(LIMIT);
        assert_eq!(live.accept(&json!(100)), Ok(()));
        assert_eq!(live.accept(&json!(101)), Err("101 is out of range: choose 1 to 100".into()));
        assert_eq!(live.accept(&json!("7")), Err("\"7\" does not fit: it takes a whole number".into()));
        let even =
            Live::new(LIMIT.check(|n| if n % 2 == 0 { Ok(()) } else { Err("choose an even one".into()) }));
        assert_eq!(even.accept(&json!(3)), Err("choose an even one".into()));
    }

    #[test]
    fn what_another_build_accepted_leaves_the_last_good_value_in_force() {
        let live = Live::new(LIMIT);
        let value = live.value.subscribe();
        live.apply(Some(&stored(json!(20))));
        live.apply(Some(&stored(json!(2000))));
        assert_eq!(*value.borrow(), 20);
        assert!(live.fault().unwrap().contains("out of range"));
        live.apply(None);
        assert_eq!((*value.borrow(), live.fault()), (10, None));
    }
}
