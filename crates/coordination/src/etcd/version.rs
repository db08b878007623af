//! etcd's version, as far as it decides whether it serves.

/// The first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl Version {
    /// The oldest that this engine works with.
    pub(super) const MIN: Self = Self(3, 4);

    /// Of `3.4.23`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut numbers = text.trim().split('.').map(|number| number.parse().ok());
        Some(Self(numbers.next()??, numbers.next()??))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_and_what_is_none_is_not() {
        assert_eq!(Version::read("3.4.23"), Some(Version::MIN));
        assert!(Version::read("3.10.0") > Some(Version::MIN) && Version::read("3.3.27") < Some(Version::MIN));
        assert_eq!((Version::read("3"), Version::read("usage: etcd")), (None, None));
    }
}
