//! Handshakes with who is who they say, and with who is not: each is told in words that name the setting.

use super::{Connector, Identity, PemFile, Refused};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// Two authorities, and what each has issued for `localhost`.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for authority in ["ours", "theirs"] {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let certificate = params.signed_by(&key, &issuer).unwrap();
            for (name, pem) in
                [("ca", issuer.pem()), ("certificate", certificate.pem()), ("key", key.serialize_pem())]
            {
                std::fs::write(files.path(&format!("{authority}-{name}")), pem).unwrap();
            }
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name).with_extension("pem")
    }

    fn identity(&self, certificate: &str, key: &str) -> Result<Identity, String> {
        let (certificate, key) = (self.path(certificate), self.path(key));
        let key = PemFile::new("tier.key", &key);
        Identity::load(PemFile::new("tier.certificate", &certificate), key).map_err(|fault| fault.to_string())
    }

    /// A server that echoes one byte, and asks for a certificate of ours where it is told to.
    fn serve(&self, asks: bool) -> SocketAddr {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let identity = self.identity("ours-certificate", "ours-key").unwrap();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            let path = self.path("ours-ca");
            roots.add_parsable_certificates(PemFile::new("ca", &path).certificates().unwrap());
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let config = Arc::new(builder.with_cert_resolver(identity.resolver()));
        listen(move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            let mut byte = [0];
            let _ = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte));
        })
    }
}

/// Gives the first connection to `serve`.
fn listen(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    address
}

fn trusting(ca: &Path, identity: Option<&Identity>) -> Connector {
    Connector::load("tier.ca", Some(ca), identity).unwrap().shown_by("tier.certificate and tier.key")
}

/// The byte that came back, or why none did.
async fn ask(connector: &Connector, host: &str, address: SocketAddr) -> Result<u8, String> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = connector.connect(host, stream).await.map_err(|refused| refused.to_string())?;
    stream.write_all(b"x").await.map_err(|error| error.to_string())?;
    stream.read_u8().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn who_proves_its_name_is_spoken_with() {
    let files = Files::new();
    let connector = trusting(&files.path("ours-ca"), None);
    assert_eq!(ask(&connector, "localhost", files.serve(false)).await, Ok(b'x'));
}

#[tokio::test]
async fn who_asks_for_a_certificate_is_shown_it() {
    let files = Files::new();
    let identity = files.identity("ours-certificate", "ours-key").unwrap();
    let connector = trusting(&files.path("ours-ca"), Some(&identity));
    assert_eq!(ask(&connector, "localhost", files.serve(true)).await, Ok(b'x'));
    // With TLS 1.3 a server judges after the handshake.
    let bare = trusting(&files.path("ours-ca"), None);
    ask(&bare, "localhost", files.serve(true)).await.unwrap_err();
}

#[tokio::test]
async fn a_stranger_and_another_name_are_told_with_the_fix() {
    let files = Files::new();
    let strangers = trusting(&files.path("theirs-ca"), None);
    let why = ask(&strangers, "localhost", files.serve(false)).await.unwrap_err();
    assert!(why.starts_with("shows a certificate that is not trusted ("), "{why}");
    assert!(why.ends_with("in tier.ca"), "{why}");
    let connector = trusting(&files.path("ours-ca"), None);
    let why = ask(&connector, "127.0.0.1", files.serve(false)).await.unwrap_err();
    assert!(why.contains("write a name that the certificate holds"), "{why}");
    let why = ask(&connector, "not a name", files.serve(false)).await.unwrap_err();
    assert_eq!(why, Refused::Nameless.to_string());
}

#[tokio::test]
async fn a_peer_without_tls_is_told_apart() {
    let files = Files::new();
    let address = listen(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = stream.read(&mut [0; 4096]);
    });
    let why = ask(&trusting(&files.path("ours-ca"), None), "localhost", address).await.unwrap_err();
    assert_eq!(why, Refused::Plain.to_string());
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_settings() {
    let files = Files::new();
    for name in ["missing", "ours-key"] {
        let path = files.path(name);
        let fault = Connector::load("tier.ca", Some(&path), None).unwrap_err().to_string();
        assert!(fault.starts_with(&format!("tier.ca: {} cannot be used: ", path.display())), "{fault}");
    }
    let fault = files.identity("ours-key", "ours-key").unwrap_err();
    assert!(fault.starts_with("tier.certificate: "), "{fault}");
    let fault = files.identity("ours-certificate", "ours-certificate").unwrap_err();
    assert!(fault.starts_with("tier.key: "), "{fault}");
    let fault = files.identity("ours-certificate", "theirs-key").unwrap_err();
    assert!(fault.starts_with("tier.key: ") && fault.contains("tier.certificate"), "{fault}");
}
