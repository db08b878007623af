//! Columns one after the other, each with its length.

use crate::collect::Error;
use crate::collect::wire::{put_varint, unzigzag, varint, zigzag};

/// `N` columns while a block is built.
#[derive(Debug)]
pub(crate) struct Columns<const N: usize>([Vec<u8>; N]);

impl<const N: usize> Default for Columns<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }
}

impl<const N: usize> Columns<N> {
    pub(crate) fn number(&mut self, column: usize, number: u64) {
        put_varint(&mut self.0[column], number);
    }

    pub(crate) fn signed(&mut self, column: usize, number: i64) {
        put_varint(&mut self.0[column], zigzag(number));
    }

    pub(crate) fn bytes(&mut self, column: usize, bytes: &[u8]) {
        self.0[column].extend_from_slice(bytes);
    }

    pub(crate) fn column(&mut self, column: usize) -> &mut Vec<u8> {
        &mut self.0[column]
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.0.iter().map(|column| column.len() + 4).sum());
        for column in &self.0 {
            put_varint(&mut all, column.len() as u64);
            all.extend_from_slice(column);
        }
        all
    }
}

/// The columns of a stored block.
pub(crate) fn read_columns<const N: usize>(bytes: &[u8]) -> Result<[Cursor<'_>; N], Error> {
    let mut all = Cursor(bytes);
    let mut columns = [Cursor(&[]); N];
    for column in &mut columns {
        let length = all.number()?;
        *column = Cursor(all.bytes(usize::try_from(length).map_err(|_| corrupt())?)?);
    }
    Ok(columns)
}

/// Reads a column from its front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        varint(&mut self.0).ok_or_else(corrupt)
    }

    /// A number that counts or points into memory.
    #[inline]
    pub(crate) fn index(&mut self) -> Result<usize, Error> {
        usize::try_from(self.number()?).map_err(|_| corrupt())
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Result<i64, Error> {
        self.number().map(unzigzag)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(bytes)
    }

    #[inline]
    pub(crate) fn array<const L: usize>(&mut self) -> Result<[u8; L], Error> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) fn corrupt() -> Error {
    Error::Corrupt("columns")
}
