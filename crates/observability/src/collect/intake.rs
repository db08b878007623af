//! From a request to items that wait for the writer: checked whole, kept as slices of the request.
//!
//! Spans and log records come in the same nesting: resources, in each its scopes, in each its items.

use super::source::{self, Source};
use super::value::name;
use super::wire::{Malformed, Reader};
use bytes::Bytes;
use std::sync::Arc;

/// The items of one request; `K` is what a block sorts them by.
#[derive(Debug)]
pub(crate) struct Intake<K> {
    pub(crate) items: Vec<Waiting<K>>,
    /// What it holds in memory.
    pub(crate) bytes: u64,
    /// Items that were refused, and why the last of them was.
    pub(crate) rejected: u64,
    pub(crate) why: Option<&'static str>,
}

/// An item on its way to a block.
#[derive(Clone, Debug)]
pub(crate) struct Waiting<K> {
    pub(crate) key: K,
    pub(crate) source: Arc<Source>,
    /// The item's message, which has been read once and is therefore well formed.
    pub(crate) wire: Bytes,
    /// Not committed yet.
    pub(crate) fresh: bool,
}

impl<K: Clone> Waiting<K> {
    /// The item without the request that it came in.
    pub(crate) fn settled(&self) -> Self {
        Self { wire: Bytes::copy_from_slice(&self.wire), fresh: false, ..self.clone() }
    }
}

/// What is to be done with an item: kept under its key, or refused with a reason.
pub(crate) type Judgement<K> = Result<K, &'static str>;

impl<K> Intake<K> {
    /// Reads a request; `judge` reads one item.
    ///
    /// # Errors
    /// [`Malformed`], where the request is none: nothing of it is taken.
    pub(crate) fn read(
        body: &Bytes,
        judge: impl Fn(&[u8]) -> Result<Judgement<K>, Malformed>,
    ) -> Result<Self, Malformed> {
        let mut intake = Self { items: Vec::new(), bytes: body.len() as u64, rejected: 0, why: None };
        let mut fields = Reader(body);
        while let Some((number, field)) = fields.next()? {
            if number == 1 {
                intake.of_resource(body, field.bytes()?, &judge)?;
            }
        }
        Ok(intake)
    }

    fn of_resource(
        &mut self,
        body: &Bytes,
        bytes: &[u8],
        judge: &impl Fn(&[u8]) -> Result<Judgement<K>, Malformed>,
    ) -> Result<(), Malformed> {
        let resource = member(bytes)?;
        source::check(resource)?;
        let resource = Bytes::copy_from_slice(resource);
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            if number == 2 {
                self.of_scope(body, field.bytes()?, &resource, judge)?;
            }
        }
        Ok(())
    }

    fn of_scope(
        &mut self,
        body: &Bytes,
        bytes: &[u8],
        resource: &Bytes,
        judge: &impl Fn(&[u8]) -> Result<Judgement<K>, Malformed>,
    ) -> Result<(), Malformed> {
        let scope = name(source::scope_name(member(bytes)?)?).into_owned();
        let source = Arc::new(Source { resource: resource.clone(), scope });
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            if number != 2 {
                continue;
            }
            let item = field.bytes()?;
            match judge(item)? {
                Ok(key) => {
                    let (source, wire) = (Arc::clone(&source), body.slice_ref(item));
                    self.items.push(Waiting { key, source, wire, fresh: true });
                }
                Err(why) => {
                    self.rejected += 1;
                    self.why = Some(why);
                }
            }
        }
        Ok(())
    }
}

/// Field 1: the resource, or the scope. It may stand behind what belongs to it.
fn member(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let mut member: &[u8] = &[];
    let mut fields = Reader(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            member = field.bytes()?;
        }
    }
    Ok(member)
}
