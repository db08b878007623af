//! Names of metrics and labels, as Prometheus' own OTLP receiver makes them from OpenTelemetry's.

use std::borrow::Cow;

/// What a metric is, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Other,
}

const UNITS: [(&str, &str); 31] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("kBy", "kilobytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("B", "bytes"),
    ("KB", "kilobytes"),
    ("MB", "megabytes"),
    ("GB", "gigabytes"),
];

const PER_UNITS: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The metric's name: words joined by `_`, with its unit and `total` or `ratio` unless they stand there already.
pub(super) fn metric_name(name: &str, unit: &str, kind: Kind) -> String {
    let mut words: Vec<String> = words(name);
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    if let Some(main) = unit_words(main, &UNITS)
        && !words.contains(&main)
    {
        words.push(main);
    }
    if let Some(per) = unit_words(per, &PER_UNITS)
        && !words.contains(&per)
    {
        words.push(format!("per_{per}"));
    }
    let last = match kind {
        Kind::Counter => Some("total"),
        Kind::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(last) = last {
        words.retain(|word| word != last);
        words.push(last.to_owned());
    }
    let name = words.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn words(text: &str) -> Vec<String> {
    let pieces = text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    pieces.filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

/// A unit in words; what stands in braces is an annotation and no unit.
fn unit_words(unit: &str, known: &[(&str, &str)]) -> Option<String> {
    let unit = unit.trim();
    if unit.is_empty() || unit.contains(['{', '}']) {
        return None;
    }
    let written = known.iter().find(|(short, _)| *short == unit).map_or(unit, |(_, word)| word);
    let words = words(written).join("_");
    (!words.is_empty()).then_some(words)
}

/// The label's name: every other character becomes `_`.
pub(super) fn label_name(name: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins_well && name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let cleaned: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    Cow::Owned(match cleaned.as_bytes() {
        [b'0'..=b'9', ..] => format!("key_{cleaned}"),
        [b'_', second, ..] if *second != b'_' => format!("key{cleaned}"),
        _ => cleaned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prometheus_receiver() {
        for (name, unit, kind, expected) in [
            ("system.network.io", "By", Kind::Counter, "system_network_io_bytes_total"),
            ("http.server.request.duration", "s", Kind::Other, "http_server_request_duration_seconds"),
            ("system.cpu.utilization", "1", Kind::Gauge, "system_cpu_utilization_ratio"),
            ("requests", "{request}", Kind::Counter, "requests_total"),
            ("speed", "km/h", Kind::Gauge, "speed_km_per_hour"),
            ("disk.io", "By/s", Kind::Gauge, "disk_io_bytes_per_second"),
            ("onefold_balancer_requests_total", "", Kind::Counter, "onefold_balancer_requests_total"),
            ("onefold_balancer_request_seconds", "s", Kind::Other, "onefold_balancer_request_seconds"),
            ("process_resident_memory_bytes", "By", Kind::Gauge, "process_resident_memory_bytes"),
            ("5xx.responses", "1", Kind::Counter, "_5xx_responses_total"),
            ("job:rate", "", Kind::Gauge, "job:rate"),
            ("a..b__c", "%", Kind::Gauge, "a_b_c_percent"),
        ] {
            assert_eq!(metric_name(name, unit, kind), expected);
        }
    }

    #[test]
    fn labels_have_legal_names() {
        for (name, expected) in [
            ("http.request.method", "http_request_method"),
            ("status", "status"),
            ("1st", "key_1st"),
            ("_private", "key_private"),
            ("a-b c", "a_b_c"),
            ("größe", "gr__e"),
        ] {
            assert_eq!(label_name(name), expected);
        }
    }
}
