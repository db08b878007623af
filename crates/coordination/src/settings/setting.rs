//! A setting as a program names it: its type, its default, and which values it accepts.

use crate::typed::Typed;
use serde_json::Value as Json;

/// A typed value that changes at run time.
///
/// ```
/// use onefold_coordination::Setting;
/// use std::time::Duration;
///
/// const TTL: Setting<Duration> = Setting::new("links.cache-ttl", Duration::from_mins(5))
///     .range(Duration::from_secs(1), Duration::from_hours(1))
///     .describe("how long a link is cached");
/// const GREETING: Setting<&str> = Setting::new("links.greeting", "hello")
///     .check(|text| if text.is_empty() { Err("say something".into()) } else { Ok(()) });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Setting<T: Typed> {
    pub(super) name: &'static str,
    pub(super) default: T,
    pub(super) description: &'static str,
    range: Option<Range<T>>,
    check: Option<Check<T>>,
}

/// Bounds, with the comparison of a type that need not have one.
#[derive(Clone, Copy, Debug)]
struct Range<T: Typed> {
    least: T,
    most: T,
    holds: Holds<T>,
}

type Holds<T> = fn(&<T as Typed>::Value, T, T) -> bool;

fn within<T: Typed>(value: &T::Value, least: T, most: T) -> bool
where
    T::Value: PartialOrd,
{
    *value >= least.value() && *value <= most.value()
}

/// Refuses a value with what would be right.
pub type Check<T> = fn(&<T as Typed>::Value) -> Result<(), String>;

impl<T: Typed> Setting<T> {
    /// A setting with its default.
    pub const fn new(name: &'static str, default: T) -> Self {
        Self { name, default, description: "", range: None, check: None }
    }

    /// The same, said in a few words for people who set it.
    #[must_use]
    pub const fn describe(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// The same, refusing what `check` refuses.
    #[must_use]
    pub const fn check(mut self, check: Check<T>) -> Self {
        self.check = Some(check);
        self
    }

    /// The same, refusing what is below `least` or above `most`.
    #[must_use]
    pub const fn range(mut self, least: T, most: T) -> Self
    where
        T::Value: PartialOrd,
    {
        self.range = Some(Range { least, most, holds: within::<T> });
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Reads a value and judges it; a text says what would be right.
    pub(super) fn accept(&self, json: &Json) -> Result<T::Value, String> {
        let value = T::read(json).ok_or_else(|| format!("{json} does not fit: it takes {}", T::WORDS))?;
        if let Some(Range { least, most, holds }) = self.range
            && !holds(&value, least, most)
        {
            let (least, most) = (T::write(&least.value()), T::write(&most.value()));
            return Err(format!("{json} is out of range: choose {least} to {most}"));
        }
        match self.check {
            Some(check) => check(&value).map(|()| value),
            None => Ok(value),
        }
    }
}
