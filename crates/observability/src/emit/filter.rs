//! Which callsites are listened to.
//!
//! Lines are a question of taste, and the topology's filter decides. Spans of level `info` and above are the
//! structure of a trace, and are recorded whatever the filter says; finer ones where it asks for them. Only where
//! no line is written and nobody is sent anything, none is: nobody would ever see it.

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
    /// Whether anybody sees spans: in lines, or because they are sent.
    has_spans: bool,
}

impl Filter {
    /// Reads `info`, or `info,target=debug`.
    pub(super) fn parse(text: &str, is_exported: bool) -> Result<Self, EmitError> {
        let lines: Targets =
            text.parse().map_err(|source| EmitError::Filter { filter: text.to_owned(), source })?;
        let finest = lines.iter().map(|(_, level)| level).chain(lines.default_level()).max();
        let finest = finest.unwrap_or(LevelFilter::OFF);
        let has_spans = is_exported || finest > LevelFilter::OFF;
        Ok(Self { lines, max: if has_spans { finest.max(LevelFilter::INFO) } else { finest }, has_spans })
    }

    pub(super) fn admits(&self, metadata: &Metadata<'_>) -> bool {
        let asked_for = || self.lines.would_enable(metadata.target(), metadata.level());
        if metadata.is_span() {
            self.has_spans
                && !is_carrier(metadata.target())
                && (*metadata.level() <= Level::INFO || asked_for())
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
