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

    /// Appends the lowest `count` bits of `value`, at most 64.
    pub(super) fn put(&mut self, value: u64, count: u8) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let mask = (1_u64 << taken) - 1;
            let part = (value >> (left - taken)) & mask;
            // `part` has at most 8 bits.
            let part = u8::try_from(part).unwrap_or(0) << (self.free - taken);
            if let Some(last) = self.bytes.last_mut() {
                *last |= part;
            }
            self.free -= taken;
            left -= taken;
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
    pub(super) fn take(&mut self, count: u8) -> Option<u64> {
        let mut value = 0_u64;
        let mut left = usize::from(count);
        while left > 0 {
            let byte = u64::from(*self.bytes.get(self.at / 8)?);
            let free = 8 - self.at % 8;
            let taken = left.min(free);
            let part = (byte >> (free - taken)) & ((1 << taken) - 1);
            value = (value << taken) | part;
            self.at += taken;
            left -= taken;
        }
        Some(value)
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
