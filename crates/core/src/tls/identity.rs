//! A certificate with its key, for who shows one.

use super::PemFile;
use crate::topology::Fault;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};

/// What a server, or a client that is asked to, shows of itself. Cloning is cheap.
#[derive(Clone)]
pub struct Identity(Arc<SingleCertAndKey>);

impl Identity {
    /// Reads a chain of certificates, the own one first, and its key.
    ///
    /// # Errors
    /// Where a file cannot be used, or the two do not belong together.
    pub fn load(certificate: PemFile<'_>, key: PemFile<'_>) -> Result<Self, Fault> {
        let (chain, private) = (certificate.certificates()?, key.private_key()?);
        let certified =
            CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|error| {
                let fix =
                    format!("name the key that was made for the certificate in {}", certificate.setting);
                key.fault(&format!("with {} ({error})", certificate.path.display()), &fix)
            })?;
        Ok(Self(Arc::new(SingleCertAndKey::from(certified))))
    }

    /// As `rustls` asks for it: `with_client_cert_resolver`, `with_cert_resolver`.
    pub fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::clone(&self.0)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}
