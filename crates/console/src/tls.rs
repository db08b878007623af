//! TLS of the console: the certificate that is shown, renewed while it runs, and the commands that know it by its file.

mod acceptor;
mod connector;

pub use acceptor::Acceptor;
pub use connector::Connector;

use crate::config::Tls;
use onefold_core::tls::PemFile;

impl Tls {
    fn certificate_file(&self) -> PemFile<'_> {
        PemFile::new("console.tls.certificate", &self.certificate)
    }

    fn key_file(&self) -> PemFile<'_> {
        PemFile::new("console.tls.key", &self.key)
    }
}
