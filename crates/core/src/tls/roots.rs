//! The authorities that a node trusts.

use super::PemFile;
use crate::topology::Fault;
use std::path::Path;
use tokio_rustls::rustls::RootCertStore;

/// The authorities in the file `ca`, which `setting` names, or else those that this machine trusts.
///
/// # Errors
/// Where the file cannot be used, or the machine trusts nobody.
pub fn roots(setting: &str, ca: Option<&Path>) -> Result<RootCertStore, Fault> {
    match ca {
        Some(path) => of_file(PemFile::new(setting, path)),
        None => of_machine().map_err(|problem| {
            let problem = format!("this machine trusts no authority ({problem})");
            Fault::new(setting, problem, "install ca-certificates, or name the authority's PEM file here")
        }),
    }
}

fn of_file(file: PemFile<'_>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates()? {
        let fix = "name a PEM file with the certificate of an authority";
        roots.add(certificate).map_err(|error| file.fault(&error, fix))?;
    }
    Ok(roots)
}

/// Machines hold certificates that are none; the others count all the same.
fn of_machine() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let first = || found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
    if roots.is_empty() { Err(first()) } else { Ok(roots) }
}
