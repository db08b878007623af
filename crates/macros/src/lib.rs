//! The derive of FromRow.
