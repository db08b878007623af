//! Attributes in a block: their names and types once for each combination (a shape), then only values.

use super::bloom::{Items, item, number_hash};
use super::columns::{Cursor, corrupt};
use super::hash::Fast;
use super::texts::Texts;
use crate::collect::Error;
use crate::collect::value::{Attributes, Value};
use crate::collect::wire::{put_varint, zigzag};
use std::borrow::Cow;
use std::collections::HashMap;

const TEXT: u32 = 0;
const BOOL: u32 = 1;
const INT: u32 = 2;
const DOUBLE: u32 = 3;
const JSON: u32 = 4;

/// The shapes of a block while it is built.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    numbers: HashMap<Box<[u32]>, u32, Fast>,
    bytes: Vec<u8>,
    scratch: Vec<u32>,
}

impl Shapes {
    /// Appends a shape's number and the values to `column`, and tells the filter of each pair.
    pub(crate) fn put<'a>(
        &mut self,
        attributes: &Attributes<'a>,
        texts: &mut Texts<'a>,
        items: &mut Items,
        column: &mut Vec<u8>,
    ) {
        self.scratch.clear();
        self.scratch.extend(attributes.iter().map(|(key, value)| texts.number(key) << 3 | tag(value)));
        let shape = self.number();
        put_varint(column, shape.into());
        for (at, (_, value)) in attributes.iter().enumerate() {
            let key = texts.hash(self.scratch[at] >> 3);
            let hash = match value {
                Value::Text(text) | Value::Json(text) => {
                    let number = texts.number(text);
                    put_varint(column, number.into());
                    texts.hash(number)
                }
                number => {
                    put_number(number, column);
                    number_hash(number)
                }
            };
            items.add(item::attribute(key, hash));
        }
    }

    fn number(&mut self) -> u32 {
        if let Some(number) = self.numbers.get(self.scratch.as_slice()) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        put_varint(&mut self.bytes, self.scratch.len() as u64);
        for entry in &self.scratch {
            put_varint(&mut self.bytes, (*entry).into());
        }
        self.numbers.insert(self.scratch.as_slice().into(), number);
        number
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn tag(value: &Value<'_>) -> u32 {
    match value {
        Value::Text(_) => TEXT,
        Value::Bool(_) => BOOL,
        Value::Int(_) => INT,
        Value::Double(_) => DOUBLE,
        Value::Json(_) => JSON,
    }
}

fn put_number(value: &Value<'_>, column: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => column.push((*value).into()),
        Value::Int(value) => put_varint(column, zigzag(*value)),
        Value::Double(value) => column.extend_from_slice(&value.to_bits().to_le_bytes()),
        Value::Text(_) | Value::Json(_) => {}
    }
}

/// The shapes of a stored block.
#[derive(Debug)]
pub(crate) struct ShapeReader<'a> {
    shapes: Vec<Vec<(&'a str, u32)>>,
    texts: &'a [&'a str],
}

impl<'a> ShapeReader<'a> {
    pub(crate) fn new(mut column: Cursor<'_>, texts: &'a [&'a str]) -> Result<Self, Error> {
        let mut shapes = Vec::new();
        while !column.is_empty() {
            let length = column.index()?;
            let shape: Result<Vec<_>, Error> = (0..length)
                .map(|_| {
                    let entry = column.index()?;
                    let key = texts.get(entry >> 3).copied().ok_or_else(corrupt)?;
                    Ok((key, u32::try_from(entry & 7).unwrap_or(JSON)))
                })
                .collect();
            shapes.push(shape?);
        }
        Ok(Self { shapes, texts })
    }
}

/// Reads the attributes that stand next in the column.
pub(crate) fn get_attributes<'a>(
    column: &mut Cursor<'_>,
    shapes: &ShapeReader<'a>,
) -> Result<Attributes<'a>, Error> {
    let shape = shapes.shapes.get(column.index()?).ok_or_else(corrupt)?;
    let mut attributes = Vec::with_capacity(shape.len());
    for (key, tag) in shape {
        let value = match *tag {
            BOOL => Value::Bool(column.array::<1>()?[0] != 0),
            INT => Value::Int(column.signed()?),
            DOUBLE => Value::Double(f64::from_bits(u64::from_le_bytes(column.array()?))),
            tag => {
                let text = Cow::Borrowed(shapes.texts.get(column.index()?).copied().ok_or_else(corrupt)?);
                if tag == JSON { Value::Json(text) } else { Value::Text(text) }
            }
        };
        attributes.push((Cow::Borrowed(*key), value));
    }
    Ok(attributes)
}
