//! TLS with others, for every tier alike: whom a node trusts, who it says it is, and what is wrong where hands are not
//! shaken. Behind the feature `tls`.
//!
//! A file is always read by the setting that names it, so that a [`Fault`](crate::topology::Fault) holds key, path and
//! fix. Files are read once, when a tier starts. What a peer may be asked beyond its certificate is the tier's to say.

mod connector;
mod identity;
mod pem;
mod refused;
mod roots;

pub use connector::Connector;
pub use identity::Identity;
pub use pem::PemFile;
pub use refused::Refused;
pub use roots::roots;

#[cfg(test)]
mod tests;
