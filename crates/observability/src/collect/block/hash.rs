//! A quick hasher for maps that live as long as a block is built.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// Multiplies and folds words, from a seed that no sender knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fast(u64);

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8) | 1);
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for Fast {
    fn default() -> Self {
        Self(*SEED)
    }
}

impl BuildHasher for Fast {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Fast {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of 128 bits have 64 each")]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR ^ self.0.rotate_left(32));
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Fast {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.fold(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.fold(word);
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.fold(word.into());
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.fold(byte.into());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
