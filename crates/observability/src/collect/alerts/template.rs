//! Templates in labels and annotations: `{{ $value | humanize }}`, `{{ $labels.node }}`.
//!
//! The part of Go's templates that alerts are written in: the value and the labels, and a chain of functions that
//! put numbers into words. Anything else is refused when the file is loaded.

use super::humanize;
use crate::collect::promql::{Labels, format_value};
use std::fmt::Write as _;

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Insert(Source, Vec<Format>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Value,
    Label(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Humanize,
    Humanize1024,
    Duration,
    Percentage,
    Timestamp,
    /// `printf "%.2f"`: so many digits.
    Fixed(usize),
    Upper,
    Lower,
}

const FORMATS: [(&str, Format); 7] = [
    ("humanize", Format::Humanize),
    ("humanize1024", Format::Humanize1024),
    ("humanizeDuration", Format::Duration),
    ("humanizePercentage", Format::Percentage),
    ("humanizeTimestamp", Format::Timestamp),
    ("toUpper", Format::Upper),
    ("toLower", Format::Lower),
];

/// An expanded text, in bytes.
const TEXT_BYTES_MAX: usize = 8192;

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let (inside, after) = behind.split_once("}}").ok_or("`{{` without `}}`")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(insert(inside.trim_matches(|c: char| c == '-' || c.is_whitespace()))?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { source: text.to_owned(), parts })
    }

    /// As it was written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn expand(&self, labels: &Labels, value: f64) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Insert(source, formats) => {
                    let first = match source {
                        Source::Value => format_value(value),
                        Source::Label(name) => labels.get(name).to_owned(),
                    };
                    text.push_str(&formats.iter().fold(first, |text, format| format.apply(text)));
                }
            }
        }
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text
    }
}

/// `$value | humanize`, `humanize $value`, `printf "%.2f" $value`.
fn insert(inside: &str) -> Result<Part, String> {
    let mut formats = Vec::new();
    let mut stages = inside.split('|').map(str::trim);
    let first = stages.next().unwrap_or_default();
    let (call, operand) = match first.rsplit_once(char::is_whitespace) {
        Some((call, operand)) => (Some(call.trim()), operand),
        None => (None, first),
    };
    let source = source(operand).ok_or_else(|| {
        format!(
            "`{{{{ {inside} }}}}` is not supported: use $value or $labels.NAME, with humanize and the like"
        )
    })?;
    for stage in call.into_iter().chain(stages) {
        formats.push(format(stage)?);
    }
    Ok(Part::Insert(source, formats))
}

fn source(text: &str) -> Option<Source> {
    if matches!(text, "$value" | ".Value") {
        return Some(Source::Value);
    }
    let name = text.strip_prefix("$labels.").or_else(|| text.strip_prefix(".Labels."))?;
    crate::collect::promql::is_label_name(name).then(|| Source::Label(name.to_owned()))
}

fn format(stage: &str) -> Result<Format, String> {
    if let Some((_, format)) = FORMATS.iter().find(|(name, _)| *name == stage) {
        return Ok(*format);
    }
    let digits = stage.strip_prefix("printf").map(|rest| rest.trim().trim_matches('"'));
    let digits = digits.and_then(|pattern| pattern.strip_prefix("%.")?.strip_suffix('f')?.parse().ok());
    match digits {
        Some(digits) if digits <= 12 => Ok(Format::Fixed(digits)),
        _ => {
            let known: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
            Err(format!("`{stage}` is not supported: use {} or printf \"%.2f\"", known.join(", ")))
        }
    }
}

impl Format {
    fn apply(self, text: String) -> String {
        match self {
            Self::Upper => return text.to_uppercase(),
            Self::Lower => return text.to_lowercase(),
            _ => {}
        }
        // What is no number stays as it is.
        let Ok(value) = text.parse::<f64>() else { return text };
        match self {
            Self::Humanize => humanize::number(value),
            Self::Humanize1024 => humanize::binary(value),
            Self::Duration => humanize::duration(value),
            Self::Percentage => humanize::percentage(value),
            Self::Timestamp => humanize::timestamp(value),
            Self::Fixed(digits) => {
                let mut fixed = String::new();
                let _ = write!(fixed, "{value:.digits$}");
                fixed
            }
            Self::Upper | Self::Lower => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_labels_are_put_into_words() {
        let labels = Labels::new([("node", "app-a"), ("zone", "a")]);
        for (text, value, expected) in [
            ("plain", 1.0, "plain"),
            ("{{ $labels.node }} in {{$labels.zone}}: {{ $value }}", 0.25, "app-a in a: 0.25"),
            ("{{ .Labels.missing }}.", 1.0, "."),
            ("{{ $value | humanize }}B", 1_234_567.0, "1.235MB"),
            ("{{ humanize $value }}", 0.0025, "2.5m"),
            ("{{ $value | humanize1024 }}B", 1536.0, "1.5kiB"),
            ("{{ $value | humanizePercentage }}", 0.0123, "1.23%"),
            ("{{ $value | humanizeDuration }}", 90_061.0, "1d 1h 1m 1s"),
            ("{{ $value | humanizeDuration }}", 0.012, "12ms"),
            ("{{ printf \"%.2f\" $value }}", 1.0 / 3.0, "0.33"),
            ("{{ $value | printf \"%.0f\" }}", 41.7, "42"),
            ("{{ $labels.node | toUpper }}", 0.0, "APP-A"),
            ("{{- $value -}}", 7.0, "7"),
            ("{{ $value | humanizeTimestamp }}", 1_700_000_000.0, "2023-11-14 22:13:20 UTC"),
        ] {
            assert_eq!(Template::parse(text).unwrap().expand(&labels, value), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for text in [
            "{{ $value",
            "{{ query \"up\" }}",
            "{{ $externalURL }}",
            "{{ $value | title }}",
            "{{ if $value }}",
            "{{}}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
