//! Standard output. Its reader may leave early, as `head` does: that ends a command, and is no failure of it.

use super::exit::Failure;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints text as it is.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Failed(format!("write to standard output: {error}")),
    })
}

/// Prints a line for people.
pub(super) fn line(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// Prints a value for programs.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string_pretty(value).map_err(|error| Failure::Failed(error.to_string()))?)
}

/// Prints what a change came to: a line for people, or a value for programs.
pub(super) fn outcome(
    for_people: impl Display,
    value: &impl Serialize,
    as_json: bool,
) -> Result<(), Failure> {
    if as_json { json(value) } else { line(for_people) }
}
