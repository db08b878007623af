//! A log line as it is shown.

use super::line::LineView;
use crate::collect::block::contains_folded;
use crate::collect::json::{option_hex_span, option_hex_trace, time};
use crate::collect::source::ResourceView;
use crate::collect::value::to_object;
use memchr::memmem::Finder;
use serde::Serialize;
use serde_json::{Map, Value};
use std::str::FromStr;

/// A log line.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// In nanoseconds since 1970.
    #[serde(serialize_with = "time")]
    pub time: u64,
    /// How bad it is.
    pub level: Level,
    /// What happened.
    pub body: String,
    /// `service.name`.
    pub service: String,
    /// The node, if the source names one.
    pub node: Option<String>,
    /// The node's role.
    pub role: Option<String>,
    /// The node's zone.
    pub zone: Option<String>,
    /// The trace in which it was written.
    #[serde(serialize_with = "option_hex_trace")]
    pub trace_id: Option<u128>,
    /// The span in which it was written.
    #[serde(serialize_with = "option_hex_span")]
    pub span_id: Option<u64>,
    /// The module or logger that wrote it.
    pub target: String,
    /// More about it.
    pub attributes: Map<String, Value>,
}

/// How bad a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Each step.
    Trace,
    /// For who develops it.
    Debug,
    /// As it should be; also where a source says nothing.
    Info,
    /// It goes on, but somebody may want to know.
    Warn,
    /// It failed.
    Error,
    /// It ended.
    Fatal,
}

impl Level {
    /// Of `OpenTelemetry`'s numbers: four for each level.
    pub(super) fn of(severity: u8) -> Self {
        match severity {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            13..=16 => Self::Warn,
            17..=20 => Self::Error,
            21.. => Self::Fatal,
            0 | 9..=12 => Self::Info,
        }
    }

    /// The lowest number of the level.
    pub(super) fn severity(self) -> u8 {
        self as u8 * 4 + 1
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        const NAMES: [(&str, Level); 8] = [
            ("trace", Level::Trace),
            ("debug", Level::Debug),
            ("info", Level::Info),
            ("warn", Level::Warn),
            ("warning", Level::Warn),
            ("error", Level::Error),
            ("fatal", Level::Fatal),
            ("critical", Level::Fatal),
        ];
        NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, level)| *level).ok_or(())
    }
}

impl Line {
    /// Whether the body or a value has this text, in lower case; ASCII letters in either case.
    pub(crate) fn says(&self, folded: &str) -> bool {
        let finder = Finder::new(folded.as_bytes());
        let has = |text: &str| contains_folded(text.as_bytes(), &finder);
        has(&self.body) || self.attributes.values().any(|value| value.as_str().is_some_and(has))
    }

    pub(super) fn of(line: &LineView<'_>, source: &ResourceView<'_>, scope: &str) -> Self {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        Self {
            time: line.time_ns,
            level: Level::of(line.severity),
            body: line.body.clone().into_owned(),
            service: source.service().to_owned(),
            node: owned(source.node()),
            role: owned(source.role()),
            zone: owned(source.zone()),
            trace_id: (line.trace != 0).then_some(line.trace),
            span_id: (line.span != 0).then_some(line.span),
            target: scope.to_owned(),
            attributes: to_object(&line.attributes),
        }
    }
}
