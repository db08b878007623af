//! Slots of a cluster, and which of them a bucket's keys fall into: what stands between braces decides for the whole key,
//! and there stands the bucket's number.

use crate::key::BUCKETS;

pub(crate) const SLOTS: u16 = 16_384;

/// CRC-16/XMODEM, as the cluster specification says.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// The slot of each bucket.
pub(crate) fn slots_of_buckets() -> Vec<u16> {
    (0..BUCKETS).map(|bucket| crc16(bucket.to_string().as_bytes()) % SLOTS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slots_of_buckets()[42], 8000, "CLUSTER KEYSLOT 42");
    }

    #[test]
    fn buckets_spread_over_the_slots() {
        let mut thirds = [0; 3];
        for slot in slots_of_buckets() {
            thirds[usize::from(slot / 5462).min(2)] += 1;
        }
        assert!(thirds.iter().all(|third| *third > 280), "{thirds:?}");
    }
}
