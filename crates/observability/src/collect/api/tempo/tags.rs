//! What a search can be made of: names of attributes, and values of one. Services, operations and nodes are all that
//! there are; other attributes are those of the newest traces.

use super::filter::SERVICE;
use super::{Problem, Reads};
use crate::collect::api::Parameters;
use crate::collect::spans::{Query, Service, Trace};
use crate::collect::{Collector, Error};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The newest traces that attributes are taken from.
const TRACES: usize = 100;
/// Names or values in one answer.
const LISTED_MAX: usize = 1000;
/// What a condition can name beside attributes.
const INTRINSICS: [&str; 4] = ["duration", "name", "status", "traceDuration"];

/// Names, by where they stand.
#[derive(Default)]
struct Names {
    resource: BTreeSet<String>,
    span: BTreeSet<String>,
}

/// A value and its type in `TraceQL`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Typed {
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
}

/// Which scopes are asked for.
#[derive(Clone, Copy)]
struct Asked {
    resource: bool,
    span: bool,
    intrinsic: bool,
}

pub(super) async fn names(
    State(reads): State<Reads>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    let (asked, query) = (Asked::read(&parameters)?, newest(&parameters)?);
    let Names { resource, span } = reads.read(move |collector| Names::of(collector, &query)).await?;
    let mut all = BTreeSet::new();
    all.extend(resource.into_iter().filter(|_| asked.resource));
    all.extend(span.into_iter().filter(|_| asked.span));
    if asked.intrinsic {
        all.extend(INTRINSICS.map(str::to_owned));
    }
    Ok(Json(json!({ "tagNames": all, "metrics": {} })))
}

pub(super) async fn names_by_scope(
    State(reads): State<Reads>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    let (asked, query) = (Asked::read(&parameters)?, newest(&parameters)?);
    let Names { resource, span } = reads.read(move |collector| Names::of(collector, &query)).await?;
    let intrinsic = INTRINSICS.map(str::to_owned).into();
    let scopes = [
        ("resource", asked.resource, resource),
        ("span", asked.span, span),
        ("intrinsic", asked.intrinsic, intrinsic),
    ];
    let wanted = scopes.into_iter().filter(|(_, wanted, tags)| *wanted && !tags.is_empty());
    let scopes: Vec<Value> = wanted.map(|(name, _, tags)| json!({ "name": name, "tags": tags })).collect();
    Ok(Json(json!({ "scopes": scopes, "metrics": {} })))
}

pub(super) async fn values(
    State(reads): State<Reads>,
    Path(tag): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    let values = read(&reads, &tag, &parameters).await?;
    let texts: Vec<String> = values.into_iter().map(|typed| typed.value).collect();
    Ok(Json(json!({ "tagValues": texts, "metrics": {} })))
}

pub(super) async fn typed_values(
    State(reads): State<Reads>,
    Path(tag): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, Problem> {
    let values = read(&reads, &tag, &parameters).await?;
    Ok(Json(json!({ "tagValues": values, "metrics": {} })))
}

async fn read(reads: &Reads, tag: &str, parameters: &Parameters) -> Result<BTreeSet<Typed>, Problem> {
    let (tag, query) = (decoded(tag), newest(parameters)?);
    reads.read(move |collector| values_of(collector, &tag, &query)).await
}

/// Grafana encodes a tag twice.
fn decoded(tag: &str) -> String {
    let pair = format!("tag={}", tag.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).next().map_or_else(String::new, |(_, tag)| tag.into_owned())
}

fn newest(parameters: &Parameters) -> Result<Query, Problem> {
    let any = Query::default();
    Ok(Query {
        start_ns: parameters.time("start")?.unwrap_or(any.start_ns),
        end_ns: parameters.time("end")?.unwrap_or(any.end_ns),
        limit: TRACES,
        ..any
    })
}

/// Looks at each of the newest traces.
fn look(collector: &Collector, query: &Query, mut at: impl FnMut(&Trace)) -> Result<(), Error> {
    for summary in collector.spans().search(query)?.traces {
        if let Some(trace) = collector.spans().trace(summary.trace_id)? {
            at(&trace);
        }
    }
    Ok(())
}

fn values_of(collector: &Collector, tag: &str, query: &Query) -> Result<BTreeSet<Typed>, Error> {
    let key = ["resource.", "span.", "."].iter().find_map(|scope| tag.strip_prefix(scope)).unwrap_or(tag);
    let all = |names: fn(Service) -> Vec<String>| -> Result<BTreeSet<Typed>, Error> {
        let services = collector.spans().services()?;
        Ok(services.into_iter().flat_map(names).map(Typed::text).take(LISTED_MAX).collect())
    };
    match key {
        "status" | "span:status" => {
            Ok(BTreeSet::from([Typed { kind: "keyword", value: "error".to_owned() }]))
        }
        "name" | "span:name" => all(|service| service.operations),
        SERVICE => all(|service| vec![service.name]),
        "service.instance.id" => all(|service| service.nodes),
        _ => {
            let mut values = BTreeSet::new();
            look(collector, query, |trace| {
                for span in &trace.spans {
                    let own = span.attributes.get(key).filter(|_| !tag.starts_with("resource."));
                    let resource = span.resource.get(key).filter(|_| !tag.starts_with("span."));
                    let room = LISTED_MAX.saturating_sub(values.len());
                    values.extend(own.into_iter().chain(resource).filter_map(Typed::of).take(room));
                }
            })?;
            Ok(values)
        }
    }
}

impl Names {
    fn of(collector: &Collector, query: &Query) -> Result<Self, Error> {
        let mut names = Self::default();
        look(collector, query, |trace| {
            for span in &trace.spans {
                add(&mut names.span, span.attributes.keys());
                add(&mut names.resource, span.resource.keys());
            }
        })?;
        Ok(names)
    }
}

fn add<'k>(names: &mut BTreeSet<String>, keys: impl Iterator<Item = &'k String>) {
    for key in keys {
        if names.len() < LISTED_MAX && !names.contains(key) {
            names.insert(key.clone());
        }
    }
}

impl Typed {
    fn text(value: String) -> Self {
        Self { kind: "string", value }
    }

    /// Lists and objects cannot be searched for.
    fn of(value: &Value) -> Option<Self> {
        let kind = match value {
            Value::String(text) => return Some(Self::text(text.clone())),
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "int",
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Self { kind, value: value.to_string() })
    }
}

impl Asked {
    fn read(parameters: &Parameters) -> Result<Self, Problem> {
        let (none, all) = (
            Self { resource: false, span: false, intrinsic: false },
            Self { resource: true, span: true, intrinsic: true },
        );
        match parameters.text("scope").as_deref() {
            None | Some("none" | "all") => Ok(all),
            Some("resource") => Ok(Self { resource: true, ..none }),
            Some("span") => Ok(Self { span: true, ..none }),
            Some("intrinsic") => Ok(Self { intrinsic: true, ..none }),
            // There are attributes in these too, and nothing searches them.
            Some("event" | "link" | "instrumentation") => Ok(none),
            Some(other) => {
                let problem = format!("`{other:.32}` is no scope: use resource, span or intrinsic");
                Err(Problem::parameter("scope", problem))
            }
        }
    }
}
