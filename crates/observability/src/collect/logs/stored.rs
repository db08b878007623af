//! Reads a block: columns to lines.

use super::line::LineView;
use crate::collect::Error;
use crate::collect::block::{Cursor, corrupt, get_attributes, read_columns, read_shared};
use crate::collect::source::ResourceView;

/// The last two are what the lines share.
pub(super) const COLUMNS: usize = 10;

/// Nanoseconds since the line before, the first since 1970.
pub(super) const TIMES: usize = 0;
pub(super) const SEVERITIES: usize = 1;
pub(super) const BODIES: usize = 2;
/// Each trace id once.
pub(super) const TRACE_IDS: usize = 3;
/// Zero for none, else one more than the place among the trace ids.
pub(super) const TRACES: usize = 4;
/// The span of each line that has a trace.
pub(super) const SPANS: usize = 5;
/// Resource and scope of each line.
pub(super) const SOURCES: usize = 6;
pub(super) const ATTRIBUTES: usize = 7;

/// A block's lines with what they share.
pub(super) struct StoredBlock<'a> {
    pub(super) resources: Vec<ResourceView<'a>>,
    pub(super) lines: Vec<StoredLine<'a>>,
}

/// A line and its place in the block's resources.
pub(super) struct StoredLine<'a> {
    pub(super) line: LineView<'a>,
    pub(super) resource: usize,
    pub(super) scope: &'a str,
}

/// Reads the lines of a block.
///
/// # Errors
/// [`Error::Corrupt`], where the bytes are not what was written.
pub(super) fn read<'a>(columns: &[u8], texts: &'a [&'a str]) -> Result<StoredBlock<'a>, Error> {
    let mut columns: [Cursor<'_>; COLUMNS] = read_columns(columns)?;
    let (shapes, resources) = read_shared(&columns, texts)?;
    let (ids, _) = columns[TRACE_IDS].0.as_chunks::<16>();
    let text = |column: &mut Cursor<'_>| texts.get(column.index()?).copied().ok_or_else(corrupt);
    let mut lines = Vec::with_capacity(columns[SEVERITIES].0.len());
    let mut time_ns = 0_u64;
    while !columns[SEVERITIES].is_empty() {
        time_ns = time_ns.wrapping_add_signed(columns[TIMES].signed()?);
        let (trace, span) = match columns[TRACES].index()? {
            0 => (0, 0),
            place => {
                let id = ids.get(place - 1).ok_or_else(corrupt)?;
                (u128::from_be_bytes(*id), u64::from_be_bytes(columns[SPANS].array()?))
            }
        };
        let line = LineView {
            time_ns,
            severity: columns[SEVERITIES].array::<1>()?[0],
            body: text(&mut columns[BODIES])?.into(),
            trace,
            span,
            attributes: get_attributes(&mut columns[ATTRIBUTES], &shapes)?,
        };
        let resource = columns[SOURCES].index()?;
        lines.push(StoredLine { line, resource, scope: text(&mut columns[SOURCES])? });
    }
    Ok(StoredBlock { resources, lines })
}
