//! What traces are searched for, whichever way it was written: conditions that must all hold of one span.

use crate::collect::spans::{Query, Span, Status, Trace, reads_as};
use serde_json::Value;

/// The attribute that names a service.
pub(super) const SERVICE: &str = "service.name";

/// Where an attribute is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Any,
    Span,
    Resource,
}

/// An attribute with its value as it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) scope: Scope,
    pub(super) key: String,
    pub(super) value: String,
}

/// Nanoseconds, both ends within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) min_ns: u64,
    pub(super) max_ns: u64,
}

/// All conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) name: Option<String>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) failed: bool,
    /// How long the span took.
    pub(super) span: Range,
    /// How long its trace took.
    pub(super) trace: Range,
}

impl Default for Range {
    fn default() -> Self {
        Self { min_ns: 0, max_ns: u64::MAX }
    }
}

impl Range {
    /// Both.
    pub(super) fn narrow(&mut self, other: Self) {
        self.min_ns = self.min_ns.max(other.min_ns);
        self.max_ns = self.max_ns.min(other.max_ns);
    }

    fn holds(self, duration_ns: u64) -> bool {
        (self.min_ns..=self.max_ns).contains(&duration_ns)
    }
}

impl Filter {
    /// Asks for a span of this name.
    ///
    /// # Errors
    /// Where it asks for another already.
    pub(super) fn named(&mut self, name: &str) -> Result<(), String> {
        match self.name.replace(name.to_owned()) {
            Some(other) if other != name => Err(format!("no span is called both `{other}` and `{name}`")),
            _ => Ok(()),
        }
    }

    /// The question to the store. It finds every trace that fits, and some that do not: a trace may fail in another
    /// span than the one that is asked for.
    pub(super) fn query(&self) -> Query {
        let is_service = |attribute: &&Attribute| attribute.key == SERVICE && attribute.scope != Scope::Span;
        let others = self.attributes.iter().filter(|attribute| !is_service(attribute));
        Query {
            service: self.attributes.iter().find(is_service).map(|attribute| attribute.value.clone()),
            operation: self.name.clone(),
            attributes: others.map(|attribute| (attribute.key.clone(), attribute.value.clone())).collect(),
            status: self.failed.then_some(Status::Error),
            duration_min_ns: self.trace.min_ns.max(self.span.min_ns),
            duration_max_ns: self.trace.max_ns,
            ..Query::default()
        }
    }

    /// The spans of a trace that fit.
    pub(super) fn matched<'t>(&self, trace: &'t Trace) -> Vec<&'t Span> {
        if !self.trace.holds(trace.duration_ns) {
            return Vec::new();
        }
        trace.spans.iter().filter(|span| self.fits(span)).collect()
    }

    fn fits(&self, span: &Span) -> bool {
        self.name.as_ref().is_none_or(|name| *name == span.name)
            && (!self.failed || span.status == "error")
            && self.span.holds(span.duration_ns)
            && self.attributes.iter().all(|attribute| attribute.of(span).is_some())
    }
}

impl Attribute {
    /// The value that fits, if the span has it.
    pub(super) fn of<'s>(&self, span: &'s Span) -> Option<&'s Value> {
        let own = span.attributes.get(&self.key).filter(|_| self.scope != Scope::Resource);
        let resource = span.resource.get(&self.key).filter(|_| self.scope != Scope::Span);
        own.into_iter().chain(resource).find(|value| reads_as(value, &self.value))
    }
}
