//! Primary database and read replicas.

#[cfg(feature = "testing")]
pub mod testing;
