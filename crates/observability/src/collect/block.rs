//! A block: some hundred items of one signal as columns, packed by zstd in two parts.
//!
//! All texts stand once in the first part, so that a search for text reads only that; the second part refers to
//! them by number. A bloom filter and the texts' trigrams beside the block say what cannot be in it. Spans and logs lay out their own
//! columns; what both need is here.

mod attributes;
mod bloom;
mod columns;
mod hash;
mod pack;
mod texts;
mod trigrams;

pub(crate) use attributes::{ShapeReader, Shapes, get_attributes};
pub(crate) use bloom::{Bloom, Items, item, readings};
pub(crate) use columns::{Columns, Cursor, corrupt, read_columns};
pub(crate) use hash::Fast;
pub(crate) use pack::{Packer, unpack};
pub(crate) use texts::{Texts, contains_folded, read_texts};
pub(crate) use trigrams::Needed;
