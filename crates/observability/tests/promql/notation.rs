//! Samples in promtool's notation, and as an `OpenMetrics` file.

use onefold_observability::collect::promql::{Labels, METRIC_NAME, Sample, Selected, format_value};
use std::fmt::Write as _;

const APART_MS: i64 = 15_000;
const SHIFT_MS: i64 = 1_013;

pub(crate) fn series(text: &str, begin_ms: i64) -> Vec<Selected> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .zip(0..)
        .map(|(line, i)| {
            let (labels, values) =
                line.split_once(char::is_whitespace).unwrap_or_else(|| panic!("no values: {line}"));
            let start_ms = begin_ms + i * SHIFT_MS % APART_MS;
            let values = values.split_whitespace().flat_map(expanded);
            let samples = values
                .zip(0..)
                .filter_map(|(value, i)| Some(Sample { at_ms: start_ms + i * APART_MS, value: value? }));
            Selected { labels: parsed_labels(labels), samples: samples.collect() }
        })
        .collect()
}

/// `name{a="1",b="2"}`, without commas or braces in the values.
fn parsed_labels(text: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
    let pairs = rest.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
    let pairs = pairs.map(|(name, value)| (name, value.trim_end_matches('"')));
    Labels::new(pairs.chain([(METRIC_NAME, name)]))
}

/// `a`, `_`, `a+bxn`, `a-bxn`, `axn`, `_xn`.
fn expanded(item: &str) -> Vec<Option<f64>> {
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("no number: {text} in {item}"));
    let (item, more) = match item.rsplit_once('x') {
        Some((item, more)) => {
            (item, more.parse::<u32>().unwrap_or_else(|_| panic!("no count: {item}x{more}")))
        }
        None => (item, 0),
    };
    if item == "_" {
        return (0..more.max(1)).map(|_| None).collect();
    }
    let sign = item.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at);
    let (first, step) = sign.map_or((item, 0.0), |at| (&item[..at], number(&item[at..])));
    (0..=more).map(|i| Some(number(first) + step * f64::from(i))).collect()
}

pub(crate) fn openmetrics(series: &[Selected]) -> String {
    let mut text = String::new();
    for Selected { labels, samples } in series {
        for Sample { at_ms, value } in samples {
            let labels = labels.to_string().replace(", ", ",");
            let _ = writeln!(text, "{labels} {} {}.{:03}", format_value(*value), at_ms / 1000, at_ms % 1000);
        }
    }
    text + "# EOF\n"
}
