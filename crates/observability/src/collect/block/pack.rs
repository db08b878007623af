//! zstd, with the unpacked size in front so that it is bounded before memory is taken.

use crate::collect::Error;
use zstd::bulk::{Compressor, Decompressor};

/// Level 3: a third of the time of level 6, and a tenth more bytes.
const LEVEL: i32 = 3;
/// No block that was written is larger; one that says so has been changed.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Packs one after the other, with the memory of the last.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    /// # Errors
    /// [`Error::File`], where zstd has no memory.
    pub(crate) fn new() -> Result<Self, Error> {
        Compressor::new(LEVEL).map(Self).map_err(failed("prepare"))
    }

    pub(crate) fn pack(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.compress(bytes).map_err(failed("pack"))
    }
}

fn failed(verb: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::File { verb, path: "a block".into(), source }
}

/// What [`Packer::pack`] was given.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Error> {
    thread_local! {
        static CONTEXT: std::cell::RefCell<Option<Decompressor<'static>>> = const { std::cell::RefCell::new(None) };
    }
    let corrupt = || Error::Corrupt("a frame");
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten().ok_or_else(corrupt)?;
    let size = usize::try_from(size).ok().filter(|size| *size <= UNPACKED_BYTES_MAX).ok_or_else(corrupt)?;
    CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Some(Decompressor::new().map_err(failed("prepare"))?);
        }
        match context {
            Some(context) => context.decompress(packed, size).map_err(|_| corrupt()),
            None => Err(corrupt()),
        }
    })
}
