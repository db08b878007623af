//! Starts and keeps the processes of a system.
