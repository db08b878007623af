//! Keys: what a user names an entry by, and the text by which L1, L2, the bus and the outbox know it.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use uuid::Uuid;

/// Buckets that share a generation and a floor. More of them cost memory, fewer make more entries suffer from an
/// invalidation of another.
pub(crate) const BUCKETS: u16 = 1024;

/// A longer key is replaced by its hash: it has to fit into an index and into a notification.
const TEXT_BYTES_MAX: usize = 200;

/// What can name an entry. Two values that are not equal must write different texts.
pub trait Key {
    /// Appends the key to `out`, where `/` separates the parts of a composite key and is escaped within a part.
    fn write_key(&self, out: &mut String);
}

impl Key for str {
    fn write_key(&self, out: &mut String) {
        for c in self.chars() {
            match c {
                '~' => out.push_str("~~"),
                '/' => out.push_str("~s"),
                // Postgres takes no NUL, and logs no line breaks.
                c if c.is_control() => {
                    // Writing into a `String` cannot fail.
                    let _ = write!(out, "~{:x};", u32::from(c));
                }
                c => out.push(c),
            }
        }
    }
}

impl Key for String {
    fn write_key(&self, out: &mut String) {
        self.as_str().write_key(out);
    }
}

impl<K: Key + ?Sized> Key for &K {
    fn write_key(&self, out: &mut String) {
        (**self).write_key(out);
    }
}

macro_rules! displayed {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn write_key(&self, out: &mut String) {
                // Writing into a `String` cannot fail.
                let _ = write!(out, "{self}");
            }
        }
    )*};
}

displayed!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, Uuid);

macro_rules! tuple {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Key, $($rest: Key),*> Key for ($first, $($rest,)*) {
            #[expect(non_snake_case, reason = "the parts are named after their types")]
            fn write_key(&self, out: &mut String) {
                let ($first, $($rest,)*) = self;
                $first.write_key(out);
                $(
                    out.push('/');
                    $rest.write_key(out);
                )*
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);

/// An entry's key in the whole system: its key space and its key, and the bucket that they fall into.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey {
    bucket: u16,
    text: Arc<str>,
}

impl CacheKey {
    /// The key of `key` in the space `space`.
    pub fn new<K: Key + ?Sized>(space: &str, key: &K) -> Self {
        let mut text = String::with_capacity(space.len() + 25);
        text.push_str(space);
        text.push(':');
        key.write_key(&mut text);
        if text.len() > TEXT_BYTES_MAX {
            text = format!("{space}:#{}", hexadecimal(&Sha256::digest(&text)));
        }
        Self::from_text(text)
    }

    /// The key that [`CacheKey::text`] gave, as the bus and the outbox carry it.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self { bucket: bucket(&text), text }
    }

    /// The key as text, at most a few hundred bytes and without control characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bucket, below the same number on every node.
    pub fn bucket(&self) -> u16 {
        self.bucket
    }

    pub(crate) fn shared_text(&self) -> &Arc<str> {
        &self.text
    }
}

/// FNV-1a, folded: the same in every build, unlike the standard library's hashes.
fn bucket(text: &str) -> u16 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = (hash ^ (hash >> 32)) % u64::from(BUCKETS);
    u16::try_from(folded).unwrap_or(0)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text<K: Key + ?Sized>(key: &K) -> String {
        CacheKey::new("space", key).text().to_owned()
    }

    #[test]
    fn keys_read_as_they_are_written() {
        assert_eq!(text("abc"), "space:abc");
        assert_eq!(text(&42_i64), "space:42");
        assert_eq!(text(&("a/b", 7_u8)), "space:a~sb/7");
        assert_eq!(text("a\0b"), "space:a~0;b");
        assert!(text(&"x".repeat(5000)).len() < TEXT_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn different_keys_have_different_texts(a: (String, String), b: (String, String)) {
            prop_assert_eq!(a == b, text(&a) == text(&b));
        }

        #[test]
        fn a_key_reads_back_from_its_text(key: String) {
            let key = CacheKey::new("space", &key);
            prop_assert!(key.bucket() < BUCKETS);
            prop_assert!(!key.text().contains(char::is_control));
            prop_assert_eq!(&CacheKey::from_text(key.text()), &key);
        }
    }
}
