//! Which three bytes in a row are in a block's texts, in lower case: a search for text passes over the blocks that
//! lack any of the wanted text's, and unpacks the others only.
//!
//! One hash of 16 bits for each; the bitmap is halved, by laying its halves over each other, until it is a quarter
//! full at most. The hash is stored, so that it never changes.

const BITS_MAX: usize = 1 << 16;
const BITS_MIN: usize = 512;
/// So many bits for each that is set: of a text of five bytes that is not there, one block in 64 is read in vain.
const SPARSE: usize = 4;

/// The trigrams of a block while it is built.
#[derive(Debug)]
pub(super) struct Trigrams(Box<[u64]>);

impl Default for Trigrams {
    fn default() -> Self {
        Self(vec![0; BITS_MAX / 64].into())
    }
}

impl Trigrams {
    pub(super) fn add(&mut self, text: &str) {
        for place in places(text.as_bytes()) {
            self.0[place / 64] |= 1 << (place % 64);
        }
    }

    /// The bitmap as it is stored.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let ones: usize = self.0.iter().map(|word| word.count_ones() as usize).sum();
        let bits = (ones * SPARSE).next_power_of_two().clamp(BITS_MIN, BITS_MAX);
        let mut folded = vec![0_u64; bits / 64];
        for (at, word) in self.0.iter().enumerate() {
            folded[at % (bits / 64)] |= word;
        }
        folded.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// What a text needs to be in a block.
#[derive(Debug)]
pub(crate) struct Needed(Vec<usize>);

impl Needed {
    /// Of a text in lower case. One of less than three bytes may be anywhere.
    pub(crate) fn of(text: &str) -> Self {
        Self(places(text.as_bytes()).collect())
    }

    /// False only if the text is not in the block.
    pub(crate) fn may_be_in(&self, bitmap: &[u8]) -> bool {
        let bits = bitmap.len() * 8;
        !bits.is_power_of_two()
            || self
                .0
                .iter()
                .map(|place| place % bits)
                .all(|place| bitmap[place / 8] & (1 << (place % 8)) != 0)
    }
}

fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.array_windows().map(|[one, two, three]| {
        let lower = [one, two, three].map(|byte| u32::from(byte.to_ascii_lowercase()));
        let hash = (lower[0] << 16 | lower[1] << 8 | lower[2]).wrapping_mul(0x9e37_79b1);
        ((hash ^ (hash >> 15)) as usize) % BITS_MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_there_is_never_passed_over_and_others_mostly() {
        let mut trigrams = Trigrams::default();
        let texts: Vec<String> = (0..50).map(|i| format!("GET /Links/{:06x}", i * 7919)).collect();
        for text in &texts {
            trigrams.add(text);
        }
        let bitmap = trigrams.into_bytes();
        assert!((64..=512).contains(&bitmap.len()), "{} bytes for some 200 trigrams", bitmap.len());
        for text in texts {
            let text = text.to_ascii_lowercase();
            for end in 0..=text.len() {
                assert!(Needed::of(&text[end / 2..end]).may_be_in(&bitmap), "{}", &text[end / 2..end]);
            }
        }
        let wrong = (0..1000).filter(|i| Needed::of(&format!("no{i}such")).may_be_in(&bitmap)).count();
        assert!(wrong < 20, "{wrong} of 1000");
    }
}
