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
mod packed;
mod texts;
mod trigrams;
mod vocabulary;

pub(crate) use attributes::{ShapeReader, get_attributes};
pub(crate) use bloom::{Bloom, item, readings};
pub(crate) use columns::{Columns, Cursor, corrupt, read_columns};
pub(crate) use hash::Fast;
pub(crate) use pack::{Packer, unpack};
pub(crate) use packed::{LAST_BLOCK, Packed, TABLES};
pub(crate) use texts::{contains_folded, read_texts};
pub(crate) use trigrams::Needed;
pub(crate) use vocabulary::{Origin, Vocabulary, read_shared};
