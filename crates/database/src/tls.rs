//! TLS to Postgres: how much of a server is verified, and the handshake as the client library asks for it.

mod verifier;

use onefold_core::tls::{Connector, Identity, PemFile, Refused};
use onefold_core::topology::Fault;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::client;
use tokio_rustls::rustls::Error as TlsError;
use verifier::{Anybody, Nameless};

/// How a connection is protected, in libpq's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Not at all.
    Disable,
    /// Nobody listens in, but who answers is not known.
    Require,
    /// An authority that is trusted has issued the certificate, for whatever name.
    VerifyCa,
    /// It was issued for the name by which the server is called.
    VerifyFull,
}

impl Protection {
    /// As `sslmode` says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for Protection {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "disable" => Ok(Self::Disable),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            "prefer" | "allow" => {
                Err("goes on without TLS where the server, or whoever stands between, says it has none")
            }
            _ => Err("is no way to protect a connection"),
        }
    }
}

/// What a URL says of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Shakes hands with one server, if it is to. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Option<Connector>);

impl Tls {
    /// Without encryption.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// `key` is the setting that holds the URL, and `ca` the file of `database.ca`, for a URL that names none.
    ///
    /// # Errors
    /// Where a file cannot be used, or the machine trusts nobody.
    pub(crate) fn load(
        key: &str,
        protection: Protection,
        files: &Files,
        ca: Option<&Path>,
    ) -> Result<Self, Fault> {
        let (authority, ca) = match (&files.ca, ca) {
            (Some(of_url), _) => (format!("{key} (sslrootcert)"), Some(of_url.as_path())),
            (None, of_table) => ("database.ca".to_owned(), of_table),
        };
        let identity = identity(key, files)?;
        let (authority, identity) = (authority.as_str(), identity.as_ref());
        let connector = match protection {
            Protection::Disable => return Ok(Self::none()),
            Protection::Require if files.ca.is_some() => {
                let fix = "write sslmode=verify-full, or verify-ca where the certificate holds another name";
                return Err(Fault::new(
                    key,
                    "sslmode=require verifies nobody, and sslrootcert is named",
                    fix,
                ));
            }
            Protection::Require => Connector::verified_by(authority, Arc::new(Anybody::new()), identity)?,
            Protection::VerifyCa => {
                Connector::verified_by(authority, Arc::new(Nameless::new(authority, ca)?), identity)?
            }
            Protection::VerifyFull => Connector::load(authority, ca, identity)?,
        };
        // As libpq does since version 17; servers before that pay no heed.
        Ok(Self(Some(connector.shown_by("sslcert and sslkey").speaking("postgresql"))))
    }
}

fn identity(key: &str, files: &Files) -> Result<Option<Identity>, Fault> {
    match (&files.certificate, &files.key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(private)) => {
            let (of_certificate, of_key) = (format!("{key} (sslcert)"), format!("{key} (sslkey)"));
            let certificate = PemFile::new(&of_certificate, certificate);
            Identity::load(certificate, PemFile::new(&of_key, private)).map(Some)
        }
        _ => Err(Fault::new(
            key,
            "sslcert and sslkey belong together, and one is missing",
            "name both, or neither",
        )),
    }
}

/// What the client library makes of it, for one host.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// None where TLS is disabled: the library makes a handshake for every connection, and uses it for those that want one.
    connector: Option<Connector>,
    host: String,
}

/// An encrypted connection.
#[derive(Debug)]
pub(crate) struct Encrypted(client::TlsStream<Socket>);

/// It was to be encrypted, and the URL says that it is not: a mistake of this crate.
#[derive(Debug, thiserror::Error)]
#[error("TLS was asked for where it is disabled")]
pub(crate) struct Disabled;

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Infallible> {
        Ok(Handshake { connector: self.0.clone(), host: host.to_owned() })
    }
}

type Shaking =
    Pin<Box<dyn Future<Output = Result<Encrypted, Box<dyn std::error::Error + Send + Sync>>> + Send>>;

impl TlsConnect<Socket> for Handshake {
    type Stream = Encrypted;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Shaking;

    fn connect(self, stream: Socket) -> Shaking {
        Box::pin(async move {
            let connector = self.connector.ok_or(Disabled)?;
            Ok(Encrypted(connector.connect(&self.host, stream).await?))
        })
    }
}

impl TlsStream for Encrypted {
    /// None: rustls does not give what the server signed over, and a verified name stands for it.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Why hands were not shaken, if that is what an error says.
pub(crate) fn refused(error: &tokio_postgres::Error) -> Option<&Refused> {
    use std::error::Error as _;
    error.source()?.downcast_ref()
}

/// The alert by which the server closed a connection after the handshake: in TLS 1.3 it looks at a client's certificate
/// only then.
pub(crate) fn alert(error: &tokio_postgres::Error) -> Option<String> {
    use std::error::Error as _;
    let of_tls = error.source()?.downcast_ref::<std::io::Error>()?.get_ref()?;
    match of_tls.downcast_ref() {
        Some(TlsError::AlertReceived(alert)) => Some(format!("{alert:?}")),
        _ => None,
    }
}
