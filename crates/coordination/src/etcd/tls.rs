//! TLS towards etcd: whom this node trusts, and who it says it is.

use onefold_core::topology::Fault;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// What a handshake needs. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Trust(TlsConnector);

impl Trust {
    /// Trusts the authority in the file, or those of this machine; shows the certificate, where there is one.
    ///
    /// # Errors
    /// Where a file cannot be used, or the machine trusts nobody.
    pub(super) fn load(ca: Option<&Path>, certificate: Option<(&Path, &Path)>) -> Result<Self, Fault> {
        let roots = match ca {
            Some(path) => of_file(path)?,
            None => of_machine()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Fault::new("coordination.ca", error.to_string(), "this is a mistake of the build")
            })?
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, own) = (certificates("certificate", certificate)?, private_key(key)?);
                builder.with_client_auth_cert(chain, own).map_err(|error| {
                    unusable("key", key, &error, "name the key that belongs to coordination.certificate")
                })?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// The connection inside, once the member has shown that it is `host`.
    ///
    /// # Errors
    /// What went wrong, and what to do, in words.
    pub(super) async fn connect(
        &self,
        host: &str,
        authority: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| format!("https://{authority} has no host name that a certificate could hold"))?;
        self.0.connect(name, stream).await.map_err(|error| {
            let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match of_tls {
                Some(rustls::Error::InvalidCertificate(reason)) => format!(
                    "https://{authority} shows a certificate that is not trusted ({reason}): name the authority that \
                     issued it in coordination.ca, or have it issued for that name"
                ),
                Some(rustls::Error::AlertReceived(alert)) => format!(
                    "https://{authority} does not take this node's certificate ({alert:?}): name one that its authority \
                     issued in coordination.certificate and coordination.key"
                ),
                Some(rustls::Error::InvalidMessage(_)) => {
                    format!("{authority} speaks no TLS: write http:// in coordination.endpoints, or have it encrypted")
                }
                _ => format!("https://{authority} does not shake hands: {error}"),
            }
        })
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

fn unusable(key: &str, path: &Path, problem: &dyn std::fmt::Display, fix: &str) -> Fault {
    Fault::new(format!("coordination.{key}"), format!("{} cannot be used: {problem}", path.display()), fix)
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let wrong =
        |problem: &dyn std::fmt::Display| unusable(key, path, problem, "name a PEM file with certificates");
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
    if found.is_empty() { Err(wrong(&"no certificate stands in it")) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| unusable("key", path, &error, "name a PEM file with a key"))
}

fn of_file(path: &Path) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", path)? {
        let fix = "name a PEM file with the certificate of an authority";
        roots.add(certificate).map_err(|error| unusable("ca", path, &error, fix))?;
    }
    Ok(roots)
}

/// Machines hold certificates that are none; the others count all the same.
fn of_machine() -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let fix = "name the authority's PEM file here, or install ca-certificates";
        return Err(Fault::new("coordination.ca", "this machine trusts no authority", fix));
    }
    Ok(roots)
}
