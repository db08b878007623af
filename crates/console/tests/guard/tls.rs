//! The certificate is shown to whoever connects, a renewed one from then on, and what does not fit is refused with its
//! reason.

use onefold_console::{Acceptor, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::io;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A directory with a certificate for `localhost` that signs itself, and its key.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.issue();
        files
    }

    /// Puts a new certificate and its key in the place of the old.
    fn issue(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(self.0.path().join("certificate.pem"), cert.pem()).unwrap();
        std::fs::write(self.0.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
    }

    fn named(&self, certificate: &str, key: &str) -> Tls {
        Tls { certificate: self.0.path().join(certificate), key: self.0.path().join(key) }
    }

    fn tls(&self) -> Tls {
        self.named("certificate.pem", "key.pem")
    }

    /// A browser that trusts the certificate that is in the file now.
    fn browser(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.tls().certificate).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}

/// One connection: what `client` makes of the stream that it is given.
async fn meet<T>(acceptor: &Acceptor, client: impl AsyncFnOnce(TcpStream) -> io::Result<T>) -> io::Result<T> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = async {
        let mut inside = acceptor.accept(listener.accept().await.unwrap().0).await?;
        inside.write_all(b"hello").await?;
        inside.shutdown().await
    };
    let (served, met) = tokio::join!(server, client(stream));
    served.and(met)
}

async fn greeted(connector: &TlsConnector, stream: TcpStream) -> io::Result<String> {
    let mut inside = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    let mut told = String::new();
    inside.read_to_string(&mut told).await?;
    Ok(told)
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served_and_plain_text_is_not() {
    let files = Files::new();
    let acceptor = files.tls().acceptor().unwrap();
    let browser = files.browser();
    assert_eq!(meet(&acceptor, async |stream| greeted(&browser, stream).await).await.unwrap(), "hello");
    let plain = meet(&acceptor, async |mut stream: TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        Ok(stream)
    });
    assert!(plain.await.is_err());
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_a_broken_one_leaves_the_old_in_force() {
    let files = Files::new();
    let acceptor = files.tls().acceptor().unwrap();
    let before = files.browser();
    let shows = async |browser: &TlsConnector| {
        meet(&acceptor, async |stream| greeted(browser, stream).await).await.is_ok()
    };
    files.issue();
    let after = files.browser();
    assert!(shows(&before).await && !shows(&after).await, "nobody has looked yet");
    std::fs::write(files.tls().key, "no key").unwrap();
    let faults = acceptor.renew().unwrap_err().to_string();
    assert!(faults.starts_with("console.tls.key: "), "{faults}");
    assert!(shows(&before).await, "the old one is in force");
    files.issue();
    let after = files.browser();
    acceptor.renew().unwrap();
    assert!(shows(&after).await && !shows(&before).await);
}

#[tokio::test]
async fn a_command_knows_the_console_by_the_file_and_nobody_else() {
    let (files, others) = (Files::new(), Files::new());
    let acceptor = files.tls().acceptor().unwrap();
    let connector = files.tls().connector().unwrap();
    let told = meet(&acceptor, async |stream| {
        let mut told = String::new();
        connector.connect(stream).await?.read_to_string(&mut told).await?;
        Ok(told)
    });
    assert_eq!(told.await.unwrap(), "hello");
    let other = others.tls().connector().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = async { acceptor.accept(listener.accept().await.unwrap().0).await.map(drop) };
    let (served, refused) = tokio::join!(server, other.connect(stream));
    let why = refused.unwrap_err().to_string();
    assert!(served.is_err() && why.starts_with("the console shows another certificate than "), "{why}");
}

#[test]
fn files_that_do_not_fit_are_named() {
    let files = Files::new();
    let told = |certificate, key| files.named(certificate, key).acceptor().unwrap_err().to_string();
    assert!(told("missing.pem", "key.pem").starts_with("console.tls.certificate: "));
    assert!(told("key.pem", "key.pem").starts_with("console.tls.certificate: "));
    assert!(told("certificate.pem", "certificate.pem").starts_with("console.tls.key: "));
    let other = Files::new();
    let mixed = Tls { key: other.tls().key, ..files.tls() };
    assert!(mixed.acceptor().unwrap_err().to_string().starts_with("console.tls.key: "));
}
