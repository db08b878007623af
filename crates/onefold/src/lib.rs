//! Write the handlers. Get the distributed system.
