//! Which share of a population a key falls into: one boundary function for rollouts and splits.
//!
//! `MurmurHash3` x86-32 (Austin Appleby, 2011) of the key with seed 0, scaled to the sum of the weights without
//! rounding, as flagd does it since its second version of `fractional`: a key is in the first `n` of `total`
//! parts exactly if `hash / 2^32 < n / total`. So what matters is the cumulative share alone, and widening a
//! rollout never takes a key out of it.

/// The way keys are spread. A flag names it in its metadata (`"bucketing": 2`), so that a change of flagd's
/// hash moves nobody by surprise; a flag that names one which this build does not have is refused.
pub(super) const VERSION: u64 = 2;

/// The index of the part which `key` falls into, where part `i` has `weights[i]` of the sum; none where the sum
/// is zero.
pub(super) fn part(key: &[u8], weights: &[u32]) -> Option<usize> {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    // 32 bits of hash times the total must fit: flagd's limit too.
    if total == 0 || total > u64::from(u32::MAX) {
        return None;
    }
    let bucket = (u64::from(murmur3(key)) * total) >> 32;
    let mut end = 0;
    weights.iter().position(|weight| {
        end += u64::from(*weight);
        bucket < end
    })
}

fn murmur3(bytes: &[u8]) -> u32 {
    let scramble = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = words.iter().fold(0_u32, |hash, word| {
        (hash ^ scramble(u32::from_le_bytes(*word))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !rest.is_empty() {
        let mut word = [0; 4];
        word[..rest.len()].copy_from_slice(rest);
        hash ^= scramble(u32::from_le_bytes(word));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the algorithm takes the length modulo 2^32")]
    let length = bytes.len() as u32;
    hash ^= length;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_hash_is_the_reference_implementations() {
        for (text, hash) in [
            ("", 0),
            ("hello", 0x248b_fa47),
            ("foo", 0xf6a5_c420),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }

    proptest! {
        #[test]
        fn widening_a_rollout_removes_nobody(
            key in ".{0,40}",
            total in 1_u32..100_000,
            shares in (0.0_f64..=1.0, 0.0_f64..=1.0),
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
            let weight = |share: f64| (f64::from(total) * share) as u32;
            let (narrow, wide) = (weight(shares.0.min(shares.1)), weight(shares.0.max(shares.1)));
            let within = |on: u32| part(key.as_bytes(), &[on, total - on]) == Some(0);
            prop_assert!(!within(narrow) || within(wide));
        }

        #[test]
        fn a_finer_scale_moves_nobody(key in ".{0,40}", percent in 0_u32..=100, scale in 1_u32..1000) {
            let coarse = part(key.as_bytes(), &[percent, 100 - percent]);
            let fine = part(key.as_bytes(), &[percent * scale, (100 - percent) * scale]);
            prop_assert_eq!(coarse, fine);
        }
    }

    #[test]
    fn each_part_gets_its_share() {
        let hits = (0..10_000).filter(|i| part(format!("user-{i}").as_bytes(), &[10, 90]) == Some(0)).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert_eq!(part(b"anybody", &[0, 0]), None);
    }
}
