//! Who emits, as OTLP has it.

use super::metric::text;
use crate::emit::Resource;
use crate::otlp::common::{self, AnyValue, KeyValue, any_value};

/// The attributes that stand on everything that this process sends.
pub(super) fn describe(resource: &Resource) -> common::Resource {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let pid = any_value::Value::IntValue(i64::from(std::process::id()));
    let attributes = vec![
        text("service.name", &resource.service),
        text("service.instance.id", resource.node.as_str()),
        text("service.version", &resource.version),
        text("onefold.node", resource.node.as_str()),
        text("onefold.role", resource.role.as_str()),
        text("onefold.zone", resource.zone.as_str()),
        text("host.name", &host),
        KeyValue { key: "process.pid".to_owned(), value: Some(AnyValue { value: Some(pid) }) },
        text("telemetry.sdk.name", "onefold"),
        text("telemetry.sdk.language", "rust"),
    ];
    common::Resource { attributes, ..common::Resource::default() }
}
