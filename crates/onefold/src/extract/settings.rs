//! Runtime settings.

use super::Context;
use onefold_coordination::{Setting, Typed};

/// Runtime settings: typed values that change without a restart.
#[derive(Clone)]
pub struct Settings {
    context: Context,
}

impl Settings {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// The setting's value now; its default where none was set.
    pub fn get<T: Typed>(&self, setting: &Setting<T>) -> T::Value {
        self.context.node.coordination.settings().get(setting)
    }
}
