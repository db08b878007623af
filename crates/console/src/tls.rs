//! TLS in front of the console: what reads the certificate once, and what shakes hands on each connection.

use crate::config::Tls;
use onefold_core::topology::{Fault, Faults};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// How long a handshake may take: a few round trips, on a slow line too.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Shakes hands with what connects. Cloning is cheap.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl Tls {
    /// Reads certificate and key. A renewed certificate is shown after a restart.
    ///
    /// # Errors
    /// A fault that names the file that cannot be read, or says that the two do not belong together.
    pub fn acceptor(&self) -> Result<Acceptor, Faults> {
        let chain: Vec<CertificateDer> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|e| unreadable("certificate", &self.certificate, &e))?;
        if chain.is_empty() {
            return Err(unreadable("certificate", &self.certificate, &pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| unreadable("key", &self.key, &e))?;
        let config = server(chain, key).map_err(|e| {
            let problem =
                format!("{} cannot be used with {}: {e}", self.certificate.display(), self.key.display());
            Fault::new("console.tls", problem, "name a certificate and the key that was made for it")
        })?;
        Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
    }
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn unreadable(key: &str, path: &Path, error: &pem::Error) -> Faults {
    let problem = format!("{} cannot be read: {error}", path.display());
    Fault::new(format!("console.tls.{key}"), problem, "name a PEM file").into()
}

impl Acceptor {
    /// The connection inside, once hands are shaken.
    ///
    /// # Errors
    /// Where the peer speaks something else, or takes longer than 10 s.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static + use<>> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
        tokio::time::timeout(HANDSHAKE_MAX, self.0.accept(stream)).await.map_err(late)?
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}
