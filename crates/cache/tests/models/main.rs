//! Every interleaving of small worlds, over the very rules that the cache obeys (`onefold_cache::decision`).
//!
//! Each world holds with the rules as they are, and is violated once any one of them is taken away.

mod explore;
mod group_flush;
mod protocol;
mod rules;
