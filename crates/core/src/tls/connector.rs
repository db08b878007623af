//! A client's side of a handshake.

use super::{Identity, Refused, roots};
use crate::topology::Fault;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Shakes hands with who proves its name to us. Cloning is cheap.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    authority: String,
    own: Option<String>,
}

impl Connector {
    /// Trusts the authorities in the file `ca`, which `setting` names, or else those that this machine trusts; shows
    /// `identity` to who asks for a certificate.
    ///
    /// # Errors
    /// Where the file cannot be used, or the machine trusts nobody.
    pub fn load(setting: &str, ca: Option<&Path>, identity: Option<&Identity>) -> Result<Self, Fault> {
        let config = Arc::new(client(setting, roots(setting, ca)?, identity)?);
        Ok(Self { config, authority: setting.to_owned(), own: None })
    }

    /// Trusts whom `verifier` lets pass: for a protocol whose users may ask for less than a name. `setting` is what a
    /// refusal names.
    ///
    /// # Errors
    /// None but of the build.
    pub fn verified_by(
        setting: &str,
        verifier: Arc<dyn ServerCertVerifier>,
        identity: Option<&Identity>,
    ) -> Result<Self, Fault> {
        let mut config = client(setting, RootCertStore::empty(), identity)?;
        config.dangerous().set_certificate_verifier(verifier);
        Ok(Self { config: Arc::new(config), authority: setting.to_owned(), own: None })
    }

    /// Names the settings under which a certificate of our own stands or could stand, for whoever is asked for one.
    #[must_use]
    pub fn shown_by(mut self, settings: &str) -> Self {
        self.own = Some(settings.to_owned());
        self
    }

    /// Offers one protocol by its name in ALPN, as in `h2`.
    #[must_use]
    pub fn speaking(mut self, protocol: &str) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![protocol.as_bytes().to_vec()];
        self
    }

    /// The connection inside, once the peer has shown that it is `host`. How long that may take is the caller's to say.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub async fn connect<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, Refused>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| Refused::Nameless)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let shaken = connector.connect(name, stream).await;
        shaken.map_err(|error| Refused::of(error, &self.authority, self.own.as_deref()))
    }
}

fn client(setting: &str, roots: RootCertStore, identity: Option<&Identity>) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(setting, error.to_string(), "this is a mistake of the build"))?
        .with_root_certificates(roots);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
    })
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.authority)
    }
}
