//! The few building blocks of what is written to disk: numbers of variable length, and texts.

use crate::collect::promql::Labels;

pub(super) fn put_number(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// A number that may be negative.
pub(super) fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put_number(bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

pub(super) fn put_bytes(bytes: &mut Vec<u8>, piece: &[u8]) {
    put_number(bytes, piece.len() as u64);
    bytes.extend_from_slice(piece);
}

pub(super) fn put_labels(bytes: &mut Vec<u8>, labels: &Labels) {
    put_number(bytes, labels.iter().count() as u64);
    for (name, value) in labels.iter() {
        put_bytes(bytes, name.as_bytes());
        put_bytes(bytes, value.as_bytes());
    }
}

/// Reads from the start of a slice; `None` where it is too short or makes no sense.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(super) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(super) fn id(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.size()?;
        self.take(count)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn labels(&mut self) -> Option<Labels> {
        let count = self.size()?;
        // A label takes at least two bytes: no count makes us reserve more than there can be.
        let mut pairs = Vec::with_capacity(count.min(self.0.len() / 2));
        for _ in 0..count {
            pairs.push((self.text()?, self.text()?));
        }
        Some(Labels::new(pairs))
    }
}
