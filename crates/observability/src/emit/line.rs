//! One JSON line for each event, written at once to where the node's log goes.
//!
//! Lines follow OpenTelemetry's log data model in its common JSON spelling: `timestamp`, `severity`, `body`,
//! `trace_id`, `span_id`, the node's resource, and the attributes of the event over those of its spans.

use super::Resource;
use super::fields::{Fields, Place, Seen};
use onefold_core::TraceContext;
use serde::Serialize;
use std::cell::RefCell;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::Metadata;

/// What a line's buffer may hold on to.
const BUFFER_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes lines.
pub(super) struct Writer {
    /// The node's resource, as it stands in the middle of each line.
    resource: Vec<u8>,
    out: fn(&[u8]),
}

impl Writer {
    pub(super) fn new(resource: &Resource, out: fn(&[u8])) -> Self {
        let mut text = Vec::new();
        for (name, value) in [
            ("service", resource.service.as_str()),
            ("node", resource.node.as_str()),
            ("role", resource.role.as_str()),
            ("zone", resource.zone.as_str()),
        ] {
            member(&mut text, name, value);
        }
        Self { resource: text, out }
    }

    /// To standard error, in one piece.
    pub(super) fn to_stderr(line: &[u8]) {
        // There is nowhere left to tell that the log cannot be written.
        let _ = std::io::stderr().lock().write_all(line);
    }

    pub(super) fn write(
        &self,
        at: SystemTime,
        metadata: &Metadata<'_>,
        context: Option<TraceContext>,
        span: Option<&str>,
        body: Place,
        fields: &Fields,
    ) {
        BUFFER.with_borrow_mut(|line| {
            line.clear();
            line.extend_from_slice(br#"{"timestamp":""#);
            timestamp(line, at);
            line.push(b'"');
            member(line, "severity", metadata.level().as_str());
            member(line, "body", body.of(&fields.text));
            if let Some(context) = context {
                let text = context.encode();
                identifier(line, "trace_id", &text[3..35]);
                identifier(line, "span_id", &text[36..52]);
            }
            line.extend_from_slice(&self.resource);
            member(line, "target", metadata.target());
            if let Some(span) = span {
                member(line, "span", span);
            }
            attributes(line, fields);
            line.extend_from_slice(b"}\n");
            (self.out)(line);
            line.shrink_to(BUFFER_BYTES_MAX);
        });
    }
}

fn attributes(line: &mut Vec<u8>, fields: &Fields) {
    for (at, (name, value)) in fields.iter().enumerate() {
        line.extend_from_slice(if at == 0 { br#","attributes":{"# } else { b"," });
        json(line, name);
        line.push(b':');
        match value {
            Seen::Bool(value) => json(line, &value),
            Seen::Int(value) => json(line, &value),
            Seen::Float(value) => json(line, &value),
            Seen::Text(value) => json(line, value),
        }
    }
    if !fields.list.is_empty() {
        line.push(b'}');
    }
}

fn member(line: &mut Vec<u8>, name: &str, value: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    json(line, value);
}

fn identifier(line: &mut Vec<u8>, name: &str, digits: &[u8]) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":\"");
    line.extend_from_slice(digits);
    line.push(b'"');
}

fn json(line: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Texts and numbers can always be written into memory.
    let _ = serde_json::to_writer(line, value);
}

/// RFC 3339 in UTC, to the microsecond.
fn timestamp(line: &mut Vec<u8>, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    digits(line, year, 4);
    for (sign, value) in
        [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)]
    {
        line.push(sign);
        digits(line, value, 2);
    }
    line.push(b'.');
    digits(line, u64::from(since.subsec_micros()), 6);
    line.push(b'Z');
}

/// Year, month and day of a day after 1 January 1970: the algorithm `civil_from_days` of Howard Hinnant.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn digits(line: &mut Vec<u8>, value: u64, width: usize) {
    let start = line.len();
    line.resize(start + width, b'0');
    let mut rest = value;
    for digit in line[start..].iter_mut().rev() {
        *digit += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        #[test]
        fn a_timestamp_is_what_chrono_reads(micros in 0_u64..250_000_000_000_000_000) {
            let at = UNIX_EPOCH + Duration::from_micros(micros);
            let mut text = Vec::new();
            timestamp(&mut text, at);
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(text.parse::<DateTime<Utc>>().unwrap(), DateTime::<Utc>::from(at), "{}", text);
        }
    }
}
