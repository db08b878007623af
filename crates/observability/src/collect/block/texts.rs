//! The texts of a block, each once.

use super::bloom::text_hash;
use super::hash::Fast;
use super::trigrams::Trigrams;
use crate::collect::Error;
use crate::collect::wire::{put_varint, varint};
use std::borrow::Cow;
use std::collections::HashMap;

/// Gives each text a number, in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a> {
    numbers: HashMap<Cow<'a, str>, u32, Fast>,
    bytes: Vec<u8>,
    hashes: Vec<u64>,
    ends: Vec<usize>,
    trigrams: Trigrams,
}

impl<'a> Texts<'a> {
    /// Its number.
    #[expect(clippy::ptr_arg, reason = "what is borrowed is kept without a copy")]
    pub(crate) fn number(&mut self, text: &Cow<'a, str>) -> u32 {
        if let Some(number) = self.numbers.get(text.as_ref()) {
            return *number;
        }
        // A block holds far fewer than 2³² texts: its items are bounded, and so are their attributes.
        let number = u32::try_from(self.hashes.len()).unwrap_or(u32::MAX);
        put_varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
        self.hashes.push(text_hash(text));
        self.trigrams.add(text);
        self.numbers.insert(text.clone(), number);
        number
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        let place = number as usize;
        let begin =
            place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let stored = self.ends.get(place).map_or(&[][..], |end| &self.bytes[begin..*end]);
        read_texts(stored).ok().and_then(|texts| texts.first().copied()).unwrap_or_default()
    }

    /// The hash that filters use, by number.
    pub(crate) fn hash(&self, number: u32) -> u64 {
        self.hashes.get(number as usize).copied().unwrap_or_default()
    }

    /// All of them, as they are stored, and the bitmap of their trigrams.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.bytes, self.trigrams.into_bytes())
    }
}

/// The texts by their numbers.
pub(crate) fn read_texts(mut bytes: &[u8]) -> Result<Vec<&str>, Error> {
    let corrupt = || Error::Corrupt("texts");
    let mut texts = Vec::with_capacity(bytes.len() / 16);
    while !bytes.is_empty() {
        let length =
            varint(&mut bytes).and_then(|length| usize::try_from(length).ok()).ok_or_else(corrupt)?;
        let (text, rest) = bytes.split_at_checked(length).ok_or_else(corrupt)?;
        texts.push(std::str::from_utf8(text).map_err(|_| corrupt())?);
        bytes = rest;
    }
    Ok(texts)
}

/// Whether `needle`, in lower case, is in the bytes, in whatever case its ASCII letters are.
pub(crate) fn contains_folded(bytes: &[u8], needle: &memchr::memmem::Finder<'_>) -> bool {
    needle.find(&bytes.to_ascii_lowercase()).is_some()
}
