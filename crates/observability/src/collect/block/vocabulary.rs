//! What the items of a block share while it is built: texts, shapes of attributes, resources, and the items of the
//! filter. Spans and log lines lay out the rest.

use super::attributes::{ShapeReader, Shapes, get_attributes};
use super::bloom::{Items, item};
use super::columns::{Columns, Cursor};
use super::hash::Fast;
use super::pack::Packer;
use super::packed::Packed;
use super::texts::Texts;
use crate::collect::Error;
use crate::collect::source::ResourceView;
use crate::collect::value::Attributes;
use std::borrow::Cow;
use std::collections::HashMap;

/// A resource's place in the block, and the numbers of the texts that name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) number: u64,
    pub(crate) service: u32,
    pub(crate) node: u32,
}

/// Everything that the items of a block share.
#[derive(Default)]
pub(crate) struct Vocabulary<'a> {
    texts: Texts<'a>,
    shapes: Shapes,
    items: Items,
    origins: HashMap<&'a [u8], Origin, Fast>,
    resources: Vec<u8>,
}

impl<'a> Vocabulary<'a> {
    /// The number of a text.
    #[expect(clippy::ptr_arg, reason = "what is borrowed is kept without a copy")]
    pub(crate) fn number(&mut self, text: &Cow<'a, str>) -> u32 {
        self.texts.number(text)
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        self.texts.text(number)
    }

    /// The hash of a text by its number, as filters use it.
    pub(crate) fn hash(&self, number: u32) -> u64 {
        self.texts.hash(number)
    }

    /// Tells the filter of an item.
    pub(crate) fn add(&mut self, item: u64) {
        self.items.add(item);
    }

    /// Appends attributes to a column.
    pub(crate) fn attributes(&mut self, attributes: &Attributes<'a>, column: &mut Vec<u8>) {
        self.shapes.put(attributes, &mut self.texts, &mut self.items, column);
    }

    /// Where the message `Resource` stands; it is read once for each block.
    pub(crate) fn origin(&mut self, bytes: &'a [u8]) -> Origin {
        if let Some(origin) = self.origins.get(bytes) {
            return *origin;
        }
        let resource = ResourceView::read(bytes).unwrap_or_default();
        self.shapes.put(&resource.attributes, &mut self.texts, &mut self.items, &mut self.resources);
        let service = self.texts.number(&Cow::Owned(resource.service().to_owned()));
        let node = self.texts.number(&Cow::Owned(resource.node().unwrap_or_default().to_owned()));
        self.items.add(item::service(self.texts.hash(service)));
        self.items.add(item::node(self.texts.hash(node)));
        let origin = Origin { number: self.origins.len() as u64, service, node };
        self.origins.insert(bytes, origin);
        origin
    }

    /// The block with these columns, of which the last two are left for shapes and resources.
    ///
    /// # Errors
    /// [`Error`], where zstd has no memory.
    pub(crate) fn pack<const N: usize>(
        self,
        mut columns: Columns<N>,
        packer: &mut Packer,
    ) -> Result<Packed, Error> {
        *columns.column(N - 2) = self.shapes.into_bytes();
        *columns.column(N - 1) = self.resources;
        let (texts, trigrams) = self.texts.into_parts();
        Ok(Packed {
            texts: packer.pack(&texts)?,
            columns: packer.pack(&columns.into_bytes())?,
            filter: self.items.filter(),
            trigrams,
        })
    }
}

/// The shapes and resources in the last two columns of a stored block.
///
/// # Errors
/// [`Error::Corrupt`], where the bytes are not what was written.
pub(crate) fn read_shared<'a, const N: usize>(
    columns: &[Cursor<'_>; N],
    texts: &'a [&'a str],
) -> Result<(ShapeReader<'a>, Vec<ResourceView<'a>>), Error> {
    let shapes = ShapeReader::new(columns[N - 2], texts)?;
    let mut resources = Vec::new();
    let mut column = columns[N - 1];
    while !column.is_empty() {
        resources.push(ResourceView { attributes: get_attributes(&mut column, &shapes)? });
    }
    Ok((shapes, resources))
}
