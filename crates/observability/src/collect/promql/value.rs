//! What a query gives, as Prometheus shapes it.

use super::labels::Labels;
use super::number::{format_value, seconds};
use super::select::{Sample, Selected};
use serde::ser::{Serialize, SerializeMap as _, SerializeStruct as _, SerializeTuple as _, Serializer};

/// The answer of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(Sample),
    /// A text, at a time in milliseconds.
    Text(i64, String),
    /// A value for each series, at one time.
    Vector(Vec<Element>),
    /// Values over time for each series.
    Matrix(Vec<Selected>),
}

/// A series' value at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The series.
    pub labels: Labels,
    /// Its value.
    pub sample: Sample,
}

/// The data object of Prometheus' API: `{"resultType": …, "result": …}`.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Value", 2)?;
        match self {
            Self::Scalar(sample) => {
                object.serialize_field("resultType", "scalar")?;
                object.serialize_field("result", sample)?;
            }
            Self::Text(at_ms, text) => {
                object.serialize_field("resultType", "string")?;
                object.serialize_field("result", &(seconds(*at_ms), text))?;
            }
            Self::Vector(elements) => {
                object.serialize_field("resultType", "vector")?;
                object.serialize_field("result", elements)?;
            }
            Self::Matrix(series) => {
                object.serialize_field("resultType", "matrix")?;
                object.serialize_field("result", series)?;
            }
        }
        object.end()
    }
}

/// `[seconds, "value"]`
impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        if self.at_ms % 1000 == 0 {
            pair.serialize_element(&(self.at_ms / 1000))?;
        } else {
            pair.serialize_element(&seconds(self.at_ms))?;
        }
        pair.serialize_element(&format_value(self.value))?;
        pair.end()
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Element", 2)?;
        object.serialize_field("metric", &self.labels)?;
        object.serialize_field("value", &self.sample)?;
        object.end()
    }
}

impl Serialize for Selected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Selected", 2)?;
        object.serialize_field("metric", &self.labels)?;
        object.serialize_field("values", &self.samples)?;
        object.end()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.pairs().len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_prometheus_shape() {
        let labels = Labels::new([("__name__", "up"), ("job", "links")]);
        let sample = Sample { at_ms: 1_435_781_430_781, value: f64::INFINITY };
        let whole = Sample { at_ms: 1_435_781_430_000, value: 0.5 };
        let vector = Value::Vector(vec![Element { labels: labels.clone(), sample }]);
        assert_eq!(
            serde_json::to_string(&vector).unwrap(),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"links"},"value":[1435781430.781,"+Inf"]}]}"#
        );
        let matrix = Value::Matrix(vec![Selected { labels, samples: vec![whole] }]);
        assert_eq!(
            serde_json::to_string(&matrix).unwrap(),
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"links"},"values":[[1435781430,"0.5"]]}]}"#
        );
    }
}
