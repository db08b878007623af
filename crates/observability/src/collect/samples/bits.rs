//! Streams of bits.

/// Appends bits, the highest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// How many bits of the last byte are still free.
    free: u8,
}

impl Writer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Appends the lowest `count` bits of `value`, at most 64.
    pub(super) fn put(&mut self, value: u64, count: u8) {
        if count == 0 {
            return;
        }
        // The bits stand at the top, with zeros behind them.
        let mut bits = value << (64 - count);
        let mut left = count;
        if let (Some(last), 1..) = (self.bytes.last_mut(), self.free) {
            *last |= bits.to_be_bytes()[0] >> (8 - self.free);
            let taken = left.min(self.free);
            self.free -= taken;
            left -= taken;
            bits <<= taken;
        }
        if left > 0 {
            let bytes = left.div_ceil(8);
            self.bytes.extend_from_slice(&bits.to_be_bytes()[..usize::from(bytes)]);
            self.free = bytes * 8 - left;
        }
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 64; `None` at the end.
    #[inline]
    pub(super) fn take(&mut self, count: u8) -> Option<u64> {
        let end = self.at + usize::from(count);
        if end > self.bytes.len() * 8 {
            return None;
        }
        if count == 0 {
            return Some(0);
        }
        let (first, shift) = (self.at / 8, self.at % 8);
        let rest = &self.bytes[first..];
        let word = rest.first_chunk().map_or_else(|| padded(rest), |word| u64::from_be_bytes(*word));
        let mut bits = word << shift;
        if usize::from(count) + shift > 64 {
            // The last of them stand in a ninth byte.
            bits |= u64::from(rest[8]) >> (8 - shift);
        }
        self.at = end;
        Some(bits >> (64 - count))
    }

    /// The number of one bits before the next zero, at most `max`.
    pub(super) fn ones(&mut self, max: u8) -> Option<u8> {
        let mut count = 0;
        while count < max && self.take(1)? == 1 {
            count += 1;
        }
        Some(count)
    }
}

/// Fewer than eight bytes, with zeros behind them.
fn padded(rest: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(pieces in proptest::collection::vec((any::<u64>(), 1_u8..=64), 0..200)) {
            let mut writer = Writer::default();
            for (value, count) in &pieces {
                writer.put(*value, *count);
            }
            let mut reader = Reader::new(writer.bytes());
            for (value, count) in pieces {
                prop_assert_eq!(reader.take(count), Some(value & (u64::MAX >> (64 - count))));
            }
        }
    }
}
