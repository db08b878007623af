//! The certificate is shown to whoever connects, and what does not fit is refused with its reason.
//!
//! `certificate/` holds one for `localhost` that signs itself and is known to nobody; its key protects nothing.

use onefold_console::Tls;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guard/certificate").join(name)
}

fn tls(certificate: &str, key: &str) -> Tls {
    Tls { certificate: file(certificate), key: file(key) }
}

fn connector() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("certificate.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served_and_plain_text_is_not() {
    let acceptor = tls("certificate.pem", "key.pem").acceptor().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let mut inside = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        inside.write_all(b"hello").await.unwrap();
        inside.shutdown().await.unwrap();
    };
    let client = async {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut inside = connector().connect(name, stream).await.unwrap();
        let mut told = String::new();
        inside.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "hello");
    };
    tokio::join!(server, client);

    let server = async { acceptor.accept(listener.accept().await.unwrap().0).await.map(drop) };
    let client = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        stream
    };
    assert!(tokio::join!(server, client).0.is_err());
}

#[test]
fn files_that_do_not_fit_are_named() {
    let told = |certificate, key| tls(certificate, key).acceptor().unwrap_err().to_string();
    assert!(told("missing.pem", "key.pem").starts_with("console.tls.certificate: "));
    assert!(told("key.pem", "key.pem").starts_with("console.tls.certificate: "));
    assert!(told("certificate.pem", "certificate.pem").starts_with("console.tls.key: "));
}
