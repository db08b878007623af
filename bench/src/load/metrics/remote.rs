//! A request of Prometheus' remote write: every sample with all labels of its series, under the names that
//! Prometheus gives to OpenTelemetry's metrics.

use super::{BOUNDS, GAUGES, Node, ROUTES, SERVERS, STATEMENTS};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

pub(super) fn request(nodes: &[Node], at_ms: i64) -> Vec<u8> {
    let timeseries = nodes.iter().flat_map(|node| of_node(node, at_ms)).collect();
    literal(&WriteRequest { timeseries }.encode_to_vec())
}

fn of_node(node: &Node, at_ms: i64) -> Vec<TimeSeries> {
    let series = |name: &str, more: &[(&str, &str)], value: f64| {
        let own = [
            ("__name__", name),
            ("instance", &node.name),
            ("job", "links"),
            ("node", &node.name),
            ("role", "app"),
            ("zone", node.zone),
        ];
        let mut labels: Vec<Label> = own.iter().chain(more).map(|(name, value)| label(name, value)).collect();
        labels.sort_by(|one, other| one.name.cmp(&other.name));
        TimeSeries { labels, samples: vec![Sample { value, timestamp: at_ms + node.offset_ms }] }
    };
    let mut all = Vec::with_capacity(super::SERIES_A_NODE);
    let duration = |suffix: &str| format!("http_server_request_duration_seconds_{suffix}");
    for (route, distribution) in ROUTES.iter().zip(&node.routes) {
        let mut below = 0;
        for (count, bound) in distribution.counts.iter().zip(BOUNDS.iter().chain([&f64::INFINITY])) {
            below += count;
            let le = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            all.push(series(&duration("bucket"), &[("http_route", route), ("le", &le)], below as f64));
        }
        all.push(series(&duration("count"), &[("http_route", route)], below as f64));
        all.push(series(&duration("sum"), &[("http_route", route)], distribution.sum));
    }
    let names = SERVERS.iter().flat_map(|server| STATEMENTS.iter().map(move |statement| (server, statement)));
    for ((server, statement), count) in names.zip(node.statements) {
        let more = [("server_address", *server), ("db_operation_name", *statement)];
        all.push(series("db_client_statements_total", &more, count as f64));
    }
    for ((name, unit), value) in GAUGES.iter().zip(node.gauges) {
        let name = name.replace('.', "_");
        let unit = if *unit == "By" {
            "_bytes"
        } else if *unit == "s" {
            "_seconds"
        } else {
            ""
        };
        all.push(series(&format!("{name}{unit}"), &[], value));
    }
    all
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// Snappy's block format with nothing but literals, so that unpacking costs Prometheus no more than a copy.
fn literal(bytes: &[u8]) -> Vec<u8> {
    const CHUNK: usize = 65_536;
    let mut packed = Vec::with_capacity(bytes.len() + 16);
    prost::encoding::encode_varint(bytes.len() as u64, &mut packed);
    for chunk in bytes.chunks(CHUNK) {
        // The tag 61 says that two bytes of length less one follow.
        packed.push(61 << 2);
        packed.extend(u16::try_from(chunk.len() - 1).unwrap_or(u16::MAX).to_le_bytes());
        packed.extend_from_slice(chunk);
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_told_with_its_length() {
        let packed = literal(&[7; 70_000]);
        assert_eq!(packed[..6], [0xf0, 0xa2, 0x04, 0xf4, 0xff, 0xff]);
        assert_eq!(packed.len(), 3 + 70_000 + 2 * 3);
    }
}
