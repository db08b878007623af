//! Under which names a key's value and lease, and its bucket's sentinel, are kept.

/// The names of what is kept for a key; all fall into its bucket's slot.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) system: &'a str,
    pub(super) bucket: u16,
    pub(super) text: &'a str,
}

impl Names<'_> {
    pub(super) fn sentinel(self) -> String {
        format!("{}:{{{}}}", self.system, self.bucket)
    }

    pub(super) fn record(self) -> String {
        format!("{}:{{{}}}:{}", self.system, self.bucket, self.text)
    }

    pub(super) fn lease(self) -> String {
        format!("{}:{{{}}}!{}", self.system, self.bucket, self.text)
    }

    pub(super) fn all(self) -> [String; 3] {
        [self.sentinel(), self.record(), self.lease()]
    }
}
