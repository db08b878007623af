//! TLS towards others: a collector of telemetry, a receiver of alerts. It says whom this node trusts, and explains a
//! certificate that it does not.

use onefold_core::topology::Fault;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// The one protocol that is spoken within.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Whom this node trusts. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Trust {
    connector: TlsConnector,
    /// The setting that names a CA's file.
    setting: &'static str,
}

impl Trust {
    /// Trusts the authorities in the file `ca`, which `setting` names, or else those that this machine trusts.
    ///
    /// # Errors
    /// Where the file cannot be read, or the machine trusts nobody.
    pub(crate) fn load(setting: &'static str, ca: Option<&Path>, protocol: Protocol) -> Result<Self, Fault> {
        let roots = match ca {
            Some(path) => of_file(path).map_err(|problem| {
                let problem = format!("{} cannot be used: {problem}", path.display());
                Fault::new(setting, problem, "name a PEM file with the certificate of an authority")
            })?,
            None => of_machine().map_err(|problem| {
                let problem = format!("this machine trusts no authority ({problem})");
                Fault::new(setting, problem, "install ca-certificates, or name the authority's PEM file here")
            })?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Fault::new(setting, error.to_string(), "this is a mistake of the build"))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), setting })
    }

    /// The connection inside, once the peer has shown that it is `host`. `authority` is what is said of it where it
    /// has not. How long that may take is the caller's to say.
    ///
    /// # Errors
    /// What went wrong, and what to do, in words.
    pub(crate) async fn connect(
        &self,
        host: &str,
        authority: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| format!("https://{authority} has no host name that a certificate could hold"))?;
        self.connector.connect(name, stream).await.map_err(|error| self.explain(authority, &error))
    }

    fn explain(&self, authority: &str, error: &io::Error) -> String {
        let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(reason)) = of_tls else {
            return format!("https://{authority} does not shake hands: {error}");
        };
        let fix = match reason {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("name the file of the authority that issued it in {}", self.setting)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "write a name that the certificate holds, or have it reissued".to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "have it renewed there".to_owned()
            }
            _ => "have it reissued there".to_owned(),
        };
        format!("https://{authority} shows a certificate that is not trusted ({reason}): {fix}")
    }
}

impl Protocol {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trust({})", self.setting)
    }
}

fn of_file(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate stands in it".to_owned()) } else { Ok(roots) }
}

/// Machines hold certificates that are none; the others count all the same.
fn of_machine() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let first = || found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
    if roots.is_empty() { Err(first()) } else { Ok(roots) }
}

#[cfg(test)]
pub(crate) mod testing;
