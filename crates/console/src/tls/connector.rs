//! A command's way to the console of its own machine: it knows the certificate by its file, whatever names stand in it
//! and whoever issued it.

use crate::config::Tls;
use onefold_core::topology::{Fault, Faults};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, WebPkiSupportedAlgorithms, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// Shakes hands with who shows the certificate of the file and has its key, and with nobody else.
#[derive(Clone)]
pub struct Connector {
    connector: TlsConnector,
    file: String,
}

impl Tls {
    /// Reads the certificate that a console on this machine shows.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn connector(&self) -> Result<Connector, Faults> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let pinned =
            Pinned { certificate: self.certificate_file().certificates()?.swap_remove(0), algorithms };
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(
                |error| Fault::new("console.tls", error.to_string(), "this is a mistake of the build"),
            )?;
        let config =
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned)).with_no_client_auth();
        let file = self.certificate.display().to_string();
        Ok(Connector { connector: TlsConnector::from(Arc::new(config)), file })
    }
}

impl Connector {
    /// The connection inside.
    ///
    /// # Errors
    /// Where the peer shows another certificate, or speaks something else.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        // Nothing hangs on the name.
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        self.connector.connect(name, stream).await.map_err(|error| {
            let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            match of_tls {
                Some(Error::InvalidCertificate(_)) => io::Error::other(format!(
                    "the console shows another certificate than {}; a renewed one is taken up within seconds",
                    self.file
                )),
                _ => error,
            }
        })
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.file)
    }
}

/// The one certificate that counts. That the peer has its key is checked by the signatures of the handshake.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
