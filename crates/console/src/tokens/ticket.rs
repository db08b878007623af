//! A ticket: `ticket.ACCESS.EXPIRES.NONCE.MAC`, authenticated with the token of its access, so that whoever has the
//! tokens' file can make one and the console needs to be asked nothing.

use super::{TokensError, mac};
use crate::access::Access;
use crate::hex;
use hmac::Mac as _;
use onefold_core::Secret;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NONCE_BYTES: usize = 16;
const TICKET_BYTES_MAX: usize = 160;

/// A ticket that we made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) access: Access,
    pub(crate) expires: SystemTime,
    pub(crate) nonce: String,
}

pub(super) fn issue(token: &Secret, access: Access, expires: SystemTime) -> Result<Secret, TokensError> {
    let nonce = Secret::random(NONCE_BYTES).map_err(TokensError::Random)?;
    let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let body = format!("ticket.{access}.{expires}.{}", nonce.expose());
    let tag = hex::encode(&mac(token, body.as_bytes()).finalize().into_bytes());
    Ok(Secret::new(format!("{body}.{tag}")))
}

pub(super) fn read<'a>(presented: &str, token: impl Fn(Access) -> &'a Secret) -> Option<Ticket> {
    if presented.len() > TICKET_BYTES_MAX {
        return None;
    }
    let (body, tag) = presented.rsplit_once('.')?;
    let mut parts = body.split('.');
    let (kind, access, expires, nonce) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let access = match access {
        "view" => Access::View,
        "operate" => Access::Operate,
        _ => return None,
    };
    mac(token(access), body.as_bytes()).verify_slice(&hex::decode(tag)?).ok()?;
    let expires = UNIX_EPOCH.checked_add(Duration::from_secs(expires.parse().ok()?))?;
    (kind == "ticket").then(|| Ticket { access, expires, nonce: nonce.to_owned() })
}
