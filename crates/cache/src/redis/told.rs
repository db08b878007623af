//! The answers of the lease script.

use super::record::{Epoch, Record};
use crate::decision::LeaseId;
use crate::l2::Got;
use onefold_core::Lsn;
use redis::Value;

/// What the lease script has to say.
pub(super) enum Told {
    Got { epoch: Epoch, got: Got },
    Begun(Epoch),
    Behind,
}

impl Told {
    pub(super) fn read(answer: Value, lease: LeaseId) -> Option<Self> {
        const HIT: i64 = 0;
        const BUSY: i64 = 1;
        const LEASED: i64 = 2;
        const EPOCH: i64 = 3;
        const BEHIND: i64 = 4;
        let Value::Array(parts) = answer else { return None };
        let mut parts = parts.into_iter();
        let Some(Value::Int(kind)) = parts.next() else { return None };
        if kind == BEHIND {
            return Some(Self::Behind);
        }
        let Some(Value::BulkString(epoch)) = parts.next() else { return None };
        let epoch = Epoch::read(&epoch)?;
        if kind == EPOCH {
            return Some(Self::Begun(epoch));
        }
        let Some(Value::Int(left)) = parts.next() else { return None };
        let copied = match parts.next()? {
            Value::BulkString(bytes) => Record::read(bytes, left).map(|record| record.copied),
            _ => None,
        };
        let got = match kind {
            HIT => Got::Hit(copied?),
            BUSY => Got::Busy { stale: copied },
            LEASED => {
                let Some(Value::BulkString(floor)) = parts.next() else { return None };
                let need = Lsn(std::str::from_utf8(&floor).ok()?.parse().ok()?);
                Got::Leased { lease, need, stale: copied }
            }
            _ => return None,
        };
        Some(Self::Got { epoch, got })
    }
}
