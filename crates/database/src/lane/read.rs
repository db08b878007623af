//! The connection of one read: in the shared lane, or its own.

use crate::connection::Connection;
use crate::lane::{Exclusive, Remains};
use std::ops::Deref;
use std::sync::Arc;

/// A connection for one read.
#[derive(Debug)]
pub(crate) enum ReadConnection {
    /// In line with others.
    Shared(Arc<Connection>),
    /// Of its own: dropped in the middle, its statement is cancelled.
    Own(Box<Exclusive>),
}

impl ReadConnection {
    /// Its answers have all come.
    pub(crate) fn finish(&mut self) {
        if let Self::Own(own) = self {
            own.leaves(Remains::Nothing);
        }
    }
}

impl Deref for ReadConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            Self::Shared(shared) => shared,
            Self::Own(own) => own,
        }
    }
}
