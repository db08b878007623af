//! Log records that wait to be sent.

use crate::emit::fields::{Fields, Place, Seen, Value};
use onefold_core::TraceContext;
use std::time::SystemTime;
use tracing::Metadata;

/// One record.
#[derive(Debug)]
pub(in crate::emit) struct Record {
    pub(in crate::emit) at: SystemTime,
    pub(in crate::emit) metadata: &'static Metadata<'static>,
    pub(in crate::emit) context: Option<TraceContext>,
    body: Place,
    fields_end: usize,
}

/// Records in the order in which they came, bounded by bytes.
#[derive(Debug)]
pub(in crate::emit) struct Lines {
    records: Vec<Record>,
    fields: Vec<(&'static str, Value)>,
    text: String,
    bytes_max: usize,
}

impl Lines {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { records: Vec::new(), fields: Vec::new(), text: String::new(), bytes_max }
    }

    /// Adds a record; false where there is no room for it.
    pub(super) fn push(
        &mut self,
        at: SystemTime,
        metadata: &'static Metadata<'static>,
        context: Option<TraceContext>,
        body: &str,
        fields: &Fields,
    ) -> bool {
        if self.bytes() >= self.bytes_max {
            return false;
        }
        let body = Place::append(&mut self.text, body);
        for (name, value) in &fields.list {
            let value = value.moved(&fields.text, &mut self.text);
            self.fields.push((name, value));
        }
        self.records.push(Record { at, metadata, context, body, fields_end: self.fields.len() });
        true
    }

    /// Whether they should be fetched before their time.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() > self.bytes_max / 4
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> Self {
        let fresh = Self::new(self.bytes_max);
        std::mem::replace(self, fresh)
    }

    pub(in crate::emit) fn len(&self) -> usize {
        self.records.len()
    }

    /// Each record with its body and its attributes.
    pub(in crate::emit) fn iter(
        &self,
    ) -> impl Iterator<Item = (&Record, &str, impl Iterator<Item = (&'static str, Seen<'_>)>)> {
        let mut start = 0;
        self.records.iter().map(move |record| {
            let own = &self.fields[start..record.fields_end];
            start = record.fields_end;
            let fields = own.iter().map(|(name, value)| (*name, value.seen(&self.text)));
            (record, record.body.of(&self.text), fields)
        })
    }

    fn bytes(&self) -> usize {
        self.records.len() * size_of::<Record>()
            + self.fields.len() * size_of::<(&'static str, Value)>()
            + self.text.len()
    }
}
