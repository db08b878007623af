//! Which callsites are listened to.
//!
//! Lines are a question of taste, and the topology's filter decides. Spans of level `info` and above are the
//! structure of a trace, and are recorded whatever the filter says; finer ones where it asks for them.

use super::EmitError;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::Targets;

/// Libraries that carry telemetry itself: a span of theirs would be the subject of the next.
const CARRIERS: &[&str] = &["h2", "hyper", "hyper_util", "tonic", "tower"];

#[derive(Debug)]
pub(super) struct Filter {
    lines: Targets,
    max: LevelFilter,
}

impl Filter {
    /// Reads `info`, or `info,target=debug`.
    pub(super) fn parse(text: &str) -> Result<Self, EmitError> {
        let lines: Targets =
            text.parse().map_err(|source| EmitError::Filter { filter: text.to_owned(), source })?;
        let finest = lines.iter().map(|(_, level)| level).chain(lines.default_level()).max();
        Ok(Self { lines, max: finest.unwrap_or(LevelFilter::OFF).max(LevelFilter::INFO) })
    }

    pub(super) fn admits(&self, metadata: &Metadata<'_>) -> bool {
        let asked_for = || self.lines.would_enable(metadata.target(), metadata.level());
        if metadata.is_span() {
            !is_carrier(metadata.target()) && (*metadata.level() <= Level::INFO || asked_for())
        } else {
            asked_for()
        }
    }

    /// The finest level that anything is listened to at.
    pub(super) fn max(&self) -> LevelFilter {
        self.max
    }
}

/// Whether this is a library that carries telemetry, whose lines would beget lines.
pub(super) fn is_carrier(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    CARRIERS.contains(&library)
}
