//! Where OTLP's JSON differs from what serde would do by itself.

use super::common::{AnyValue, ArrayValue, KeyValueList, any_value::Value};
use base64::Engine as _;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// An id: bytes in hexadecimal, in either case.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    bytes_of_hex(&text)
        .ok_or_else(|| D::Error::custom(format!("`{text:.64}` is no id: write it in hexadecimal")))
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// A 64-bit integer, which JSON carries as a string because its numbers lose digits above 2⁵³.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer<'a, T> {
    Number(T),
    #[serde(borrow)]
    Text(std::borrow::Cow<'a, str>),
}

impl<T: std::str::FromStr> Integer<'_, T> {
    fn get<E: Error>(self) -> Result<T, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => {
                text.parse().map_err(|_| E::custom(format!("`{text:.64}` is no integer of 64 bits")))
            }
        }
    }
}

pub(super) fn unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Integer::deserialize(deserializer)?.get()
}

pub(super) fn signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Integer::deserialize(deserializer)?.get()
}

pub(super) fn unsigned_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    Vec::<Integer<'_, u64>>::deserialize(deserializer)?.into_iter().map(Integer::get).collect()
}

/// A double, of which protobuf's JSON spells three as words.
#[derive(Deserialize)]
#[serde(untagged)]
enum Double {
    Number(f64),
    Text(String),
}

impl Double {
    fn get<E: Error>(self) -> Result<f64, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => match text.as_str() {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                number => number.parse().map_err(|_| E::custom(format!("`{number:.64}` is no number"))),
            },
        }
    }
}

pub(super) fn double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Double::deserialize(deserializer)?.get()
}

pub(super) fn optional_double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Option::<Double>::deserialize(deserializer)?.map(Double::get).transpose()
}

pub(super) fn double_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    Vec::<Double>::deserialize(deserializer)?.into_iter().map(Double::get).collect()
}

/// A value stands under the name of its type; one without a known name is empty.
impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyValueVisitor)
    }
}

struct AnyValueVisitor;

impl<'de> Visitor<'de> for AnyValueVisitor {
    type Value = AnyValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value such as {\"stringValue\": \"a\"}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<AnyValue, M::Error> {
        let mut value = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            value = match &*key {
                "stringValue" => Some(Value::StringValue(map.next_value()?)),
                "boolValue" => Some(Value::BoolValue(map.next_value()?)),
                "intValue" => Some(Value::IntValue(map.next_value::<Integer<'_, i64>>()?.get()?)),
                "doubleValue" => Some(Value::DoubleValue(map.next_value::<Double>()?.get()?)),
                "arrayValue" => Some(Value::ArrayValue(map.next_value::<ArrayValue>()?)),
                "kvlistValue" => Some(Value::KvlistValue(map.next_value::<KeyValueList>()?)),
                "bytesValue" => Some(Value::BytesValue(bytes_of_base64(&map.next_value::<String>()?)?)),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
        }
        Ok(AnyValue { value })
    }
}

fn bytes_of_base64<E: Error>(text: &str) -> Result<Vec<u8>, E> {
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| E::custom("bytesValue is not base64"))
}

#[cfg(test)]
mod tests {
    use super::super::{metrics, trace};
    use super::*;

    #[test]
    fn a_trace_reads_as_the_specification_writes_it_and_unknown_fields_are_passed_over() {
        let text = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
            "scopeSpans":[{"scope":{"name":"lib"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
            "spanId":"eee19b7ec3c1b174","name":"n","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,
            "kind":2,"later":{"x":[1]},"status":{"code":2},
            "attributes":[{"key":"i","value":{"intValue":"-7","unknown":[{}]}},{"key":"b","value":{"bytesValue":"AQI="}},
                {"key":"l","value":{"arrayValue":{"values":[{"doubleValue":"NaN"},{"boolValue":true}]}}},{"key":"none","value":{}}]}]}]}]}"#;
        let data: trace::TracesData = serde_json::from_str(text).unwrap();
        let span = &data.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(span.trace_id[..2], [0x5b, 0x8e]);
        assert_eq!((span.start_time_unix_nano, span.kind), (1_544_712_660_000_000_000, 2));
        let value = |at: usize| span.attributes[at].value.clone().unwrap().value;
        assert_eq!(value(0), Some(Value::IntValue(-7)));
        assert_eq!(value(1), Some(Value::BytesValue(vec![1, 2])));
        let Some(Value::ArrayValue(list)) = value(2) else { panic!("no list") };
        assert!(matches!(list.values[0].value, Some(Value::DoubleValue(number)) if number.is_nan()));
        assert_eq!(value(3), None);
    }

    #[test]
    fn the_shapes_of_a_metric_are_told_apart() {
        let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
            {"name":"s","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"asInt":"3","timeUnixNano":"5"}]}},
            {"name":"h","unit":"s","histogram":{"dataPoints":[{"count":"2","sum":1.5,"bucketCounts":["1",1],"explicitBounds":[0.5],
                "exemplars":[{"asDouble":0.2,"traceId":"5b8efff798038103d269b633813fc60c"}]}]}}]}]}]}"#;
        let data: metrics::MetricsData = serde_json::from_str(text).unwrap();
        let found = &data.resource_metrics[0].scope_metrics[0].metrics;
        let Some(metrics::metric::Data::Sum(sum)) = &found[0].data else { panic!("no sum") };
        assert_eq!(sum.data_points[0].value, Some(metrics::number_data_point::Value::AsInt(3)));
        let Some(metrics::metric::Data::Histogram(histogram)) = &found[1].data else {
            panic!("no histogram")
        };
        assert_eq!(histogram.data_points[0].bucket_counts, [1, 1]);
        assert_eq!(histogram.data_points[0].exemplars[0].trace_id.len(), 16);
    }

    #[test]
    fn a_wrong_id_says_so() {
        let wrong = serde_json::from_str::<trace::Span>(r#"{"traceId":"xyz"}"#).unwrap_err().to_string();
        assert!(wrong.contains("xyz") && wrong.contains("hexadecimal"), "{wrong}");
    }
}
