//! A PEM file that a setting names.

use crate::topology::Fault;
use std::fmt::Display;
use std::path::Path;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A file, and the key of the setting that names it.
#[derive(Clone, Copy, Debug)]
pub struct PemFile<'a> {
    /// As in `database.ca`.
    pub setting: &'a str,
    /// Where it lies.
    pub path: &'a Path,
}

impl<'a> PemFile<'a> {
    /// The file at `path`, which `setting` names.
    pub fn new(setting: &'a str, path: &'a Path) -> Self {
        Self { setting, path }
    }

    /// All certificates in it, at least one.
    ///
    /// # Errors
    /// Where it cannot be read, or holds none.
    pub fn certificates(self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let wrong = |problem: &dyn Display| self.fault(problem, "name a PEM file with certificates");
        let found = CertificateDer::pem_file_iter(self.path).map_err(|error| wrong(&error))?;
        let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
        if found.is_empty() { Err(wrong(&"no certificate stands in it")) } else { Ok(found) }
    }

    /// The private key in it.
    ///
    /// # Errors
    /// Where it cannot be read, or holds none. No fault repeats what stands in the file.
    pub fn private_key(self) -> Result<PrivateKeyDer<'static>, Fault> {
        PrivateKeyDer::from_pem_file(self.path)
            .map_err(|error| self.fault(&error, "name a PEM file with a private key that has no passphrase"))
    }

    /// That it cannot be used, and why.
    pub fn fault(self, problem: &dyn Display, fix: &str) -> Fault {
        Fault::new(self.setting, format!("{} cannot be used: {problem}", self.path.display()), fix)
    }
}
