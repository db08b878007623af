//! Numbers in words, as Prometheus' template functions put them.

use crate::collect::promql::whole_seconds;
use chrono::DateTime;

/// Four significant digits, as C's `%.4g`.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return crate::collect::promql::format_value(value);
    }
    let scientific = format!("{value:.3e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..4).contains(&exponent) {
        let digits = usize::try_from(3 - exponent).unwrap_or(0);
        return trimmed(&format!("{value:.digits$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Divides by `step` as often as goes, and says by which prefix.
fn scaled(value: f64, step: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut value = value;
    let mut found = "";
    for prefix in prefixes {
        if value.abs() < step {
            break;
        }
        value /= step;
        found = prefix;
    }
    (value, found)
}

fn small(value: f64) -> (f64, &'static str) {
    let mut value = value;
    let mut found = "";
    for prefix in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        value *= 1000.0;
        found = prefix;
    }
    (value, found)
}

/// `1.235M`, `2.5m`.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return short(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 {
        scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        small(value)
    };
    format!("{}{prefix}", short(value))
}

/// `1.5ki`.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return short(value);
    }
    let (value, prefix) = scaled(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]);
    format!("{}{prefix}", short(value))
}

/// `1.23%` of 0.0123.
pub(super) fn percentage(value: f64) -> String {
    format!("{}%", short(value * 100.0))
}

/// `1d 1h 1m 1s`, `12ms`.
pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return short(value);
    }
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        let (value, prefix) = small(value);
        return format!("{}{prefix}s", short(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let all = whole_seconds(value.abs());
    let (days, hours, minutes, seconds) = (all / 86_400, all / 3600 % 24, all / 60 % 60, all % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", short(value.abs()))
    }
}

/// A time in seconds since 1970.
pub(super) fn timestamp(value: f64) -> String {
    let time = if value.is_finite() { DateTime::from_timestamp(whole_seconds(value), 0) } else { None };
    time.map_or_else(|| short(value), |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}
