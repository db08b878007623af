//! A store for tests, with a gauge `load` of nodes.

use super::{Samples, sink};
use crate::collect::segment::Bounds;
use crate::otlp::common::{AnyValue, KeyValue, Resource, any_value};
use crate::otlp::metrics::{
    Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, exemplar, metric,
    number_data_point,
};
use onefold_core::Clock;
use std::path::Path;
use std::time::Duration;

pub(crate) const BOUNDS: Bounds = Bounds { bytes_max: 64 << 20, age_max: Duration::from_hours(24) };

pub(crate) struct Store {
    samples: Samples,
    clock: Clock,
    _directory: Option<tempfile::TempDir>,
}

impl Store {
    pub(crate) fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Self::at(directory.path(), &Clock::manual());
        Self { _directory: Some(directory), ..store }
    }

    pub(crate) fn at(path: &Path, clock: &Clock) -> Self {
        let samples = Samples::open(path, BOUNDS, clock.clone()).unwrap();
        Self { samples, clock: clock.clone(), _directory: None }
    }

    pub(crate) fn samples(&self) -> &Samples {
        &self.samples
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        sink::millis(self.clock.wall())
    }

    /// `count` rounds, five seconds apart: `load` is the round.
    pub(crate) fn run(&self, nodes: &[&str], count: u32) {
        for round in 0..count {
            if round > 0 {
                self.clock.advance(Duration::from_secs(5));
            }
            for node in nodes {
                self.set(node, "load", f64::from(round));
            }
        }
    }

    /// A gauge's value, as of now.
    pub(crate) fn set(&self, node: &str, name: &str, value: f64) {
        let accepted = self.samples.write(&gauge(node, name, 1, self.now_ms(), value)).unwrap();
        assert_eq!((accepted.accepted, accepted.rejected), (1, 0), "{}", accepted.why);
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }) }
}

/// A node's gauge; of several shards, with a series for each, one higher than the last.
pub(crate) fn gauge(node: &str, name: &str, shards: u32, at_ms: i64, value: f64) -> Vec<ResourceMetrics> {
    let time_unix_nano = at_ms.unsigned_abs() * 1_000_000;
    let exemplar = Exemplar {
        time_unix_nano,
        trace_id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(value)),
        ..Default::default()
    };
    let point = |shard: u32| NumberDataPoint {
        attributes: if shards > 1 { vec![attribute("shard", &shard.to_string())] } else { Vec::new() },
        time_unix_nano,
        exemplars: vec![exemplar.clone()],
        value: Some(number_data_point::Value::AsDouble(value + f64::from(shard))),
        ..Default::default()
    };
    let gauge = Gauge { data_points: (0..shards).map(point).collect() };
    let metric = Metric {
        name: name.to_owned(),
        description: "How busy.".to_owned(),
        data: Some(metric::Data::Gauge(gauge)),
        ..Default::default()
    };
    let resource = [
        ("service.name", "links"),
        ("service.instance.id", node),
        ("onefold.role", "app"),
        ("onefold.zone", "a"),
    ];
    vec![ResourceMetrics {
        resource: Some(Resource {
            attributes: resource.map(|(key, value)| attribute(key, value)).to_vec(),
            ..Default::default()
        }),
        scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }],
        ..Default::default()
    }]
}
