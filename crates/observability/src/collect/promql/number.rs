//! The few conversions between times, counts and floats that `PromQL` makes, each with its bounds in one place.

/// Milliseconds as seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a time in milliseconds has fewer than 53 bits until the year 287396"
)]
pub(crate) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// A count as a value.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}

/// Seconds as milliseconds, rounded; `None` beyond what a time can be.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(crate) fn millis(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 9.0e15).then_some(millis as i64)
}

/// A float as a number of things: negative and NaN are none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is meant")]
pub(crate) fn whole(value: f64) -> usize {
    value as usize
}

/// A float cut to whole seconds, for the functions of the calendar.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates; the calendar refuses what is out of range"
)]
pub(crate) fn whole_seconds(value: f64) -> i64 {
    value as i64
}

/// As Prometheus writes a value in JSON: the shortest decimal form, with an exponent where it is very small or
/// very large.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_prometheus_writes_them() {
        for (value, text) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (123_456_789.0, "123456789"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_value(value), text);
        }
    }
}
