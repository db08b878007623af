//! The session token: what a client has written or been shown, as a short signed text.
//!
//! The text is base64url of a fixed layout: version, flags, cluster id, timeline, LSN, and the first 16 bytes of
//! an HMAC-SHA256 over all of it. It holds no secret; the signature only keeps a client from inventing positions
//! that no replica will ever reach, which would send all its reads to the primary.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use onefold_core::Lsn;
use sha2::Sha256;
use std::fmt;
use uuid::Uuid;

const VERSION: u8 = 1;
const CONFIRMED: u8 = 1;
const BODY_BYTES: usize = 30;
const SIGNATURE_BYTES: usize = 16;
const TOKEN_BYTES: usize = BODY_BYTES + SIGNATURE_BYTES;
/// The length of every token's text.
pub const TOKEN_TEXT_BYTES: usize = 62;

/// A position of a session in the history of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The system's id, made at its first migration.
    pub cluster: Uuid,
    /// The timeline that the LSN counts on; a failover begins a new one.
    pub timeline: u32,
    /// A position that covers what the session wrote and, where it is tracked, what it was shown.
    pub lsn: Lsn,
    /// Whether every cache had confirmed the invalidations of all that it covers when the token was made: it covers
    /// writes alone, then.
    pub confirmed: bool,
}

/// What tokens are signed with; the same for all nodes of a system.
#[derive(Clone)]
pub struct Keys {
    cluster: Uuid,
    key: Vec<u8>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of the cluster of this id.
    pub fn new(cluster: Uuid, key: impl Into<Vec<u8>>) -> Self {
        Self { cluster, key: key.into() }
    }

    /// The system's id.
    pub fn cluster(&self) -> Uuid {
        self.cluster
    }

    /// The token as a client carries it, [`TOKEN_TEXT_BYTES`] long.
    pub fn sign(&self, token: &Token) -> String {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[0] = VERSION;
        bytes[1] = if token.confirmed { CONFIRMED } else { 0 };
        bytes[2..18].copy_from_slice(token.cluster.as_bytes());
        bytes[18..22].copy_from_slice(&token.timeline.to_be_bytes());
        bytes[22..30].copy_from_slice(&token.lsn.0.to_be_bytes());
        let signature = self.mac(&bytes[..BODY_BYTES]).finalize().into_bytes();
        bytes[BODY_BYTES..].copy_from_slice(&signature[..SIGNATURE_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token that a client sent.
    ///
    /// # Errors
    /// [`InvalidToken`] for everything that [`Keys::sign`] of this cluster has not made.
    pub fn verify(&self, text: &str) -> Result<Token, InvalidToken> {
        if text.len() != TOKEN_TEXT_BYTES {
            return Err(InvalidToken::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken::Malformed)?;
        let (body, signature) = bytes.split_at_checked(BODY_BYTES).ok_or(InvalidToken::Malformed)?;
        // `verify_truncated_left` takes the same time for every wrong signature.
        self.mac(body).verify_truncated_left(signature).map_err(|_| InvalidToken::Forged)?;
        let token = parse(body).ok_or(InvalidToken::Malformed)?;
        if token.cluster == self.cluster { Ok(token) } else { Err(InvalidToken::Foreign) }
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&self.key).expect("HMAC takes keys of every length");
        mac.update(body);
        mac
    }
}

fn parse(body: &[u8]) -> Option<Token> {
    let (&version, rest) = body.split_first()?;
    let (&flags, rest) = rest.split_first()?;
    let (cluster, rest) = rest.split_first_chunk::<16>()?;
    let (timeline, rest) = rest.split_first_chunk::<4>()?;
    let lsn = rest.first_chunk::<8>()?;
    (version == VERSION && flags <= CONFIRMED).then_some(Token {
        cluster: Uuid::from_bytes(*cluster),
        timeline: u32::from_be_bytes(*timeline),
        lsn: Lsn(u64::from_be_bytes(*lsn)),
        confirmed: flags == CONFIRMED,
    })
}

/// A text that is no token of this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Of the wrong length or layout.
    #[error("malformed session token")]
    Malformed,
    /// Not signed by this system.
    #[error("session token with a wrong signature")]
    Forged,
    /// Signed with our key for another system's id.
    #[error("session token of another system")]
    Foreign,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new(Uuid::from_u128(7), [9; 32])
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_it_was_signed(timeline: u32, lsn: u64, confirmed: bool) {
            let token = Token { cluster: keys().cluster(), timeline, lsn: Lsn(lsn), confirmed };
            let text = keys().sign(&token);
            prop_assert_eq!(text.len(), TOKEN_TEXT_BYTES);
            prop_assert_eq!(keys().verify(&text), Ok(token));
        }

        #[test]
        fn a_token_changed_in_any_bit_is_refused(lsn: u64, byte in 0..TOKEN_BYTES, bit in 0..8_u8) {
            let text = keys().sign(&Token { cluster: keys().cluster(), timeline: 1, lsn: Lsn(lsn), confirmed: true });
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            bytes[byte] ^= 1 << bit;
            prop_assert!(keys().verify(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn no_other_text_is_a_token(text in "\\PC{0,200}") {
            prop_assert!(keys().verify(&text).is_err());
        }
    }

    #[test]
    fn a_token_of_another_system_is_refused() {
        let token = Token { cluster: keys().cluster(), timeline: 1, lsn: Lsn(1), confirmed: true };
        let stranger = Keys::new(keys().cluster(), [8; 32]);
        assert_eq!(keys().verify(&stranger.sign(&token)), Err(InvalidToken::Forged));
        let foreign = Token { cluster: Uuid::from_u128(8), ..token };
        assert_eq!(keys().verify(&keys().sign(&foreign)), Err(InvalidToken::Foreign));
    }
}
