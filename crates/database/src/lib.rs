//! Primary database and read replicas.
