//! Who sent it: a resource and its instrumentation scope, which spans and logs share.

use super::value::{ATTRIBUTES_MAX, Attributes, Measure, Value, read_attribute};
use super::wire::{Malformed, Reader};
use bytes::Bytes;

/// The attributes of a resource, with those looked up that the store knows by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ResourceView<'a> {
    pub(crate) attributes: Attributes<'a>,
}

impl<'a> ResourceView<'a> {
    /// Reads the message `Resource`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut attributes = Vec::new();
        let mut fields = Reader(bytes);
        while let Some((number, field)) = fields.next()? {
            if number == 1 {
                read_attribute(field.bytes()?, Measure::of(bytes.len()), ATTRIBUTES_MAX, &mut attributes)?;
            }
        }
        Ok(Self { attributes })
    }

    /// What the whole is called: `service.name`.
    pub(crate) fn service(&self) -> &str {
        self.text("service.name").unwrap_or("unknown_service")
    }

    /// Which of its processes: `onefold.node`, or `service.instance.id` of other sources.
    pub(crate) fn node(&self) -> Option<&str> {
        self.text("onefold.node").or_else(|| self.text("service.instance.id"))
    }

    /// What a node of ours does.
    pub(crate) fn role(&self) -> Option<&str> {
        self.text("onefold.role")
    }

    /// Where it stands.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.text("onefold.zone").or_else(|| self.text("cloud.availability_zone"))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).and_then(|(_, value)| match value {
            Value::Text(text) => Some(text.as_ref()),
            _ => None,
        })
    }
}

/// Whether the message `Resource` is well formed.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Malformed> {
    ResourceView::read(bytes).map(drop)
}

/// The name in the message `InstrumentationScope`.
pub(crate) fn scope_name(bytes: &[u8]) -> Result<&str, Malformed> {
    let mut name = "";
    let mut fields = Reader(bytes);
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            name = field.text()?;
        }
    }
    Ok(name)
}

/// Who sent an item: the message `Resource`, and the name of the instrumentation scope.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) resource: Bytes,
    pub(crate) scope: String,
}
