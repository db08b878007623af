//! TLS of the console: the certificate that is shown, renewed while it runs, and the commands that know it by its file.

mod acceptor;
mod connector;

pub use acceptor::Acceptor;
pub use connector::Connector;

use crate::config::Tls;
use onefold_core::topology::{Fault, Faults};
use std::path::Path;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

impl Tls {
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Faults> {
        let chain: Vec<CertificateDer> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|e| unreadable("certificate", &self.certificate, &e))?;
        if chain.is_empty() {
            return Err(unreadable("certificate", &self.certificate, &pem::Error::NoItemsFound));
        }
        Ok(chain)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, Faults> {
        PrivateKeyDer::from_pem_file(&self.key).map_err(|e| unreadable("key", &self.key, &e))
    }
}

fn unreadable(key: &str, path: &Path, error: &pem::Error) -> Faults {
    let problem = format!("{} cannot be read: {error}", path.display());
    Fault::new(format!("console.tls.{key}"), problem, "name a PEM file").into()
}
