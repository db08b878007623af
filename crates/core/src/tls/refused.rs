//! Why no hands were shaken, in words that say what to do.

use std::io;
use tokio_rustls::rustls::{CertificateError, Error};

/// Why there is no connection. As text each is what the peer does: "shows a certificate …", for a sentence that begins
/// with its address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The address holds no name.
    #[error("has no host name that a certificate could hold")]
    Nameless,
    /// Its certificate does not prove who it is.
    #[error("shows a certificate that is not trusted ({reason}): {fix}")]
    Untrusted {
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        fix: String,
    },
    /// It wants another certificate of us than it was shown, or one at all.
    #[error("does not take this node's certificate ({alert}): name one that its authority issued{named}")]
    Unwanted {
        /// What it said.
        alert: String,
        /// Where to name it, if there is a setting: ` in …`.
        named: String,
    },
    /// It answers, and not with TLS.
    #[error("speaks no TLS: write its address without, or give it a certificate")]
    Plain,
    /// Anything else.
    #[error("does not shake hands: {0}")]
    Broken(io::Error),
}

impl Refused {
    /// What an error of the handshake means; `authority` is the setting that names whom we trust, `own` those that name
    /// what we show.
    pub(super) fn of(error: io::Error, authority: &str, own: Option<&str>) -> Self {
        let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match of_tls {
            Some(Error::InvalidCertificate(reason)) => {
                Self::Untrusted { reason: reason.to_string(), fix: fix(reason, authority) }
            }
            Some(Error::AlertReceived(alert)) => Self::Unwanted {
                alert: format!("{alert:?}"),
                named: own.map(|own| format!(" in {own}")).unwrap_or_default(),
            },
            Some(Error::InvalidMessage(_)) => Self::Plain,
            _ => Self::Broken(error),
        }
    }
}

fn fix(reason: &CertificateError, authority: &str) -> String {
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("name the file of the authority that issued it in {authority}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write a name that the certificate holds, or have it reissued".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "have it renewed there".to_owned()
        }
        _ => "have it reissued there".to_owned(),
    }
}
