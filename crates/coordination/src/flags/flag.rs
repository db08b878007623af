//! A flag as a program names it.

use crate::typed::Typed;

/// A flag: its name and what is served where the configuration service says nothing usable.
///
/// ```
/// use onefold_coordination::Flag;
///
/// const PREVIEW: Flag<bool> = Flag::new("preview-page", false);
/// const GREETING: Flag<&str> = Flag::new("greeting", "hello");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Flag<T> {
    pub(super) name: &'static str,
    pub(super) default: T,
}

impl<T: Typed> Flag<T> {
    /// A flag with its default.
    pub const fn new(name: &'static str, default: T) -> Self {
        Self { name, default }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}
