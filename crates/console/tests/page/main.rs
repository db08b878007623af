//! What can be said of the page without a browser: nothing in it turns text into markup or code, and its colours can
//! be told apart.
#![expect(clippy::unwrap_used, reason = "the helpers are tests too")]

mod contrast;
mod markup;

use std::path::{Path, PathBuf};

/// The files of the page with this ending, and their text.
fn files(ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("page")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}
