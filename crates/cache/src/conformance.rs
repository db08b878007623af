//! The contract of [`L2`](crate::L2) as cases that every engine must pass.
