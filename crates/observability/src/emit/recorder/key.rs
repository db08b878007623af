//! How a span is named towards `tracing`: where it lies, and which of those that lay there it is.

use std::num::NonZeroU64;

const INDEX_BITS: u32 = 8;
const SLOT_BITS: u32 = 20;
const SHARD_BITS: u32 = 8;
const GENERATION_BITS: u32 = 28;

/// Shards of one recorder.
pub(super) const SHARDS_MAX: usize = 1 << SHARD_BITS;
/// Parts that may be open in one shard.
pub(super) const SLOTS_MAX: usize = 1 << 14;
const _: () = assert!(SLOTS_MAX <= 1 << SLOT_BITS);
const _: () = assert!(INDEX_BITS + SLOT_BITS + SHARD_BITS + GENERATION_BITS == u64::BITS);

/// Names one span of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) shard: u8,
    pub(super) slot: u32,
    /// Never zero.
    pub(super) generation: u32,
    pub(super) index: u8,
}

impl Key {
    /// As `tracing` holds it.
    pub(super) fn pack(self) -> NonZeroU64 {
        let word = u64::from(self.generation) << (INDEX_BITS + SLOT_BITS + SHARD_BITS)
            | u64::from(self.shard) << (INDEX_BITS + SLOT_BITS)
            | u64::from(self.slot) << INDEX_BITS
            | u64::from(self.index);
        // A generation is not zero.
        NonZeroU64::new(word).unwrap_or(NonZeroU64::MIN)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each field is masked to its width")]
    pub(super) fn unpack(word: u64) -> Self {
        let field = |shift: u32, bits: u32| (word >> shift) & ((1 << bits) - 1);
        Self {
            generation: (word >> (INDEX_BITS + SLOT_BITS + SHARD_BITS)) as u32,
            shard: field(INDEX_BITS + SLOT_BITS, SHARD_BITS) as u8,
            slot: field(INDEX_BITS, SLOT_BITS) as u32,
            index: field(0, INDEX_BITS) as u8,
        }
    }

    /// The generation after this one.
    pub(super) fn next_generation(generation: u32) -> u32 {
        let next = (generation + 1) & ((1 << GENERATION_BITS) - 1);
        next.max(1)
    }

    /// The first generation of a recorder: by chance, so that the keys of two in one process do not meet.
    pub(super) fn first_generation() -> u32 {
        use rand::RngExt as _;
        rand::rng().random_range(1..1 << GENERATION_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_reads_back(
            shard in any::<u8>(),
            slot in 0..1_u32 << SLOT_BITS,
            generation in 1..1_u32 << GENERATION_BITS,
            index in any::<u8>(),
        ) {
            let key = Key { shard, slot, generation, index };
            prop_assert_eq!(Key::unpack(key.pack().get()), key);
            prop_assert!(Key::next_generation(generation) > 0);
        }
    }
}
