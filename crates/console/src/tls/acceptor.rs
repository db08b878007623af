//! Shakes hands on each connection with the certificate of the moment: a renewed one is taken up without a restart, and
//! one that cannot be used leaves the old in force.

use crate::config::Tls;
use arc_swap::ArcSwap;
use onefold_core::tls::Identity;
use onefold_core::topology::{Fault, Faults};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_util::sync::CancellationToken;

/// How long a handshake may take: a few round trips, on a slow line too.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How often the files are looked at: soon enough for whoever has just replaced them.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// As much of a file as counts for whether it has changed.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Shakes hands with what connects. Cloning is cheap; all clones show the same certificate.
#[derive(Clone)]
pub struct Acceptor {
    shown: Arc<ArcSwap<ServerConfig>>,
    files: Tls,
}

/// What both files hold, or that they cannot be read.
type Print = Option<[u8; 32]>;

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A fault that names the file that cannot be read, or says that the two do not belong together.
    pub fn acceptor(&self) -> Result<Acceptor, Faults> {
        Ok(Acceptor { shown: Arc::new(ArcSwap::from_pointee(self.server()?)), files: self.clone() })
    }

    fn server(&self) -> Result<ServerConfig, Faults> {
        let identity = Identity::load(self.certificate_file(), self.key_file())?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Fault::new("console.tls", error.to_string(), "this is a mistake of the build")
            })?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(identity.resolver());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn print(&self) -> Print {
        let mut hash = Sha256::new();
        for path in [&self.certificate, &self.key] {
            hash.update(read(path).ok()?);
            hash.update([0]);
        }
        Some(hash.finalize().into())
    }
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
        let acceptor = TlsAcceptor::from(self.shown.load_full());
        tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await.map_err(late)?
    }

    /// Reads the files again, for the handshakes from now on.
    ///
    /// # Errors
    /// Where they cannot be used; what was shown so far is shown on.
    pub fn renew(&self) -> Result<(), Faults> {
        self.shown.store(Arc::new(self.files.server()?));
        Ok(())
    }

    /// Takes up what the files come to hold, until `stopping`. What cannot be used is logged once.
    pub async fn follow(self, stopping: CancellationToken) {
        // None at first: they may have been replaced since they were read.
        let mut known: Option<Print> = None;
        loop {
            let acceptor = self.clone();
            // Files may lie on a disk that is slow.
            let looked = tokio::task::spawn_blocking(move || acceptor.look(known));
            known = looked.await.ok().or(known);
            let rest = tokio::time::sleep(LOOK_EVERY);
            if stopping.run_until_cancelled(rest).await.is_none() {
                return;
            }
        }
    }

    /// Compares the files with what they held before, and renews where they differ.
    fn look(&self, known: Option<Print>) -> Print {
        let found = self.files.print();
        if known != Some(found) {
            match self.renew() {
                Ok(()) if known.is_some() => tracing::info!("the console shows its renewed certificate"),
                Ok(()) => {}
                Err(faults) => tracing::error!(%faults, "the console shows its old certificate on"),
            }
        }
        found
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}
