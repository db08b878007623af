//! The layout of a value's type, as serde sees it, in 64 bits: so that no build reads what another wrote in another
//! layout.
//!
//! The type is asked to deserialize itself from a source that agrees to everything and notes what it was asked for.
//! A type that refuses the empty values on offer (a date out of "") ends the questions there, in every build at the
//! same place; what it hides needs [`Cached::version`](crate::Cached::version).

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use std::fmt;

const DEPTH_MAX: u8 = 12;
const NOTES_BYTES_MAX: usize = 16 << 10;

/// The layout of `V`, with a version of the user's.
pub(crate) fn shape_of<V: DeserializeOwned>(version: u32) -> u64 {
    let mut notes = format!("{version};");
    // It may well refuse; what it asked for until then is in the notes.
    let _ = V::deserialize(Probe { notes: &mut notes, depth: 0 });
    notes
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

struct Probe<'a> {
    notes: &'a mut String,
    depth: u8,
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type refused an empty value")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Probe<'_> {
    fn note(&mut self, what: &str) {
        self.notes.push_str(what);
        self.notes.push(';');
    }

    fn deeper(&mut self) -> Result<Probe<'_>, Refused> {
        if self.is_deep() {
            return Err(Refused);
        }
        Ok(Probe { notes: self.notes, depth: self.depth + 1 })
    }

    fn is_deep(&self) -> bool {
        self.depth >= DEPTH_MAX || self.notes.len() >= NOTES_BYTES_MAX
    }
}

macro_rules! scalars {
    ($($ask:ident $visit:ident $value:expr;)*) => {$(
        fn $ask<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            self.note(stringify!($ask));
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Refused;

    scalars! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_i8 0;
        deserialize_i16 visit_i16 0;
        deserialize_i32 visit_i32 0;
        deserialize_i64 visit_i64 0;
        deserialize_i128 visit_i128 0;
        deserialize_u8 visit_u8 0;
        deserialize_u16 visit_u16 0;
        deserialize_u32 visit_u32 0;
        deserialize_u64 visit_u64 0;
        deserialize_u128 visit_u128 0;
        deserialize_f32 visit_f32 0.0;
        deserialize_f64 visit_f64 0.0;
        deserialize_char visit_char ' ';
        deserialize_str visit_str "";
        deserialize_string visit_str "";
        deserialize_bytes visit_bytes &[];
        deserialize_byte_buf visit_bytes &[];
        deserialize_identifier visit_str "";
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("any");
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("unit");
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("option");
        if self.is_deep() { visitor.visit_none() } else { visitor.visit_some(self.deeper()?) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note(name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note(name);
        visitor.visit_newtype_struct(self.deeper()?)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("seq");
        let left = usize::from(!self.is_deep());
        visitor.visit_seq(Elements { probe: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.note(&format!("tuple {len}"));
        visitor.visit_seq(Elements { probe: self, left: len })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note(name);
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("map");
        let left = usize::from(!self.is_deep());
        visitor.visit_map(Elements { probe: self, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note(&format!("{name}{fields:?}"));
        visitor.visit_map(Fields { probe: self, left: fields.iter() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note(&format!("{name}{variants:?}"));
        let first = variants.first().ok_or(Refused)?;
        visitor.visit_enum(Variant { probe: self, name: first })
    }
}

/// A sequence of so many elements, or a map of so many pairs.
struct Elements<'a> {
    probe: Probe<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.probe.deeper()?).map(Some)
    }
}

impl<'de> MapAccess<'de> for Elements<'_> {
    type Error = Refused;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.probe.deeper()?)
    }
}

struct Fields<'a> {
    probe: Probe<'a>,
    left: std::slice::Iter<'static, &'static str>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Refused;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        self.left.next().map(|name| seed.deserialize((*name).into_deserializer())).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.probe.deeper()?)
    }
}

struct Variant<'a> {
    probe: Probe<'a>,
    name: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Refused;
    type Variant = Probe<'a>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Probe<'a>), Refused> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self.probe))
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.deeper()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its layout is looked at")]
    struct Link {
        url: String,
        clicks: u64,
    }

    mod renamed {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only its layout is looked at")]
        pub(super) struct Link {
            pub(super) target: String,
            pub(super) clicks: u64,
        }
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its layout is looked at")]
    struct Tree {
        name: String,
        children: Vec<Tree>,
        named: BTreeMap<String, Tree>,
    }

    #[test]
    fn a_layout_has_one_shape_and_another_layout_another() {
        assert_eq!(shape_of::<Link>(0), shape_of::<Link>(0));
        assert_ne!(shape_of::<Link>(0), shape_of::<renamed::Link>(0));
        assert_ne!(shape_of::<Link>(0), shape_of::<Link>(1));
        assert_ne!(shape_of::<Vec<u32>>(0), shape_of::<Vec<u64>>(0));
        assert_ne!(shape_of::<Option<Link>>(0), shape_of::<Link>(0));
    }

    #[test]
    fn types_that_hold_themselves_end_somewhere() {
        assert_ne!(shape_of::<Tree>(0), shape_of::<Link>(0));
    }
}
