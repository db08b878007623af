//! OTLP's messages as structs: what its protobuf and its JSON are read into, and what tests encode.
//!
//! Names, tags and meaning are those of `opentelemetry-proto` 1.9 without profiles; that crate itself brings the
//! whole SDK. JSON is the mapping of the specification: camelCase, ids in hexadecimal, 64-bit integers as
//! strings or numbers, enums as numbers, unknown fields passed over.
#![expect(missing_docs, reason = "the names and their meaning are OTLP's")]

pub mod common;
mod json;
pub mod logs;
pub mod metrics;
pub mod trace;
