//! Durations as `PromQL` writes them: `5m`, `1h30m`, `250ms`.

use std::fmt::Write as _;

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A duration in milliseconds: whole numbers, each with its unit, from the largest unit to the smallest.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    let mut units = UNITS.iter();
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let (_, millis) = units.find(|(name, _)| *name == &rest[digits..unit_end])?;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = &rest[unit_end..];
    }
    // Beyond a thousand years sums with times would overflow, and nobody means it.
    (total < 1000 * UNITS[0].1).then_some(total)
}

/// The shortest text that [`parse`] reads back.
pub(crate) fn format(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = millis;
    for (unit, size) in UNITS {
        // As Prometheus: weeks and years only where they fit exactly.
        if matches!(unit, "y" | "w") && rest % size != 0 {
            continue;
        }
        if rest >= size {
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_back_as_it_was_written() {
        for (text, millis) in [("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("1m500ms", 60_500)] {
            assert_eq!(parse(text), Some(millis));
            assert_eq!(format(millis), text);
        }
        for wrong in ["", "5", "m", "5x", "5m1h", "1m1m", "-5m", "99999999999999999999s", "1001y"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
