//! The list of metrics says what there is, and no more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("../../../docs/metrics.md");

/// What a metric is made by.
const MAKERS: &[&str] = &["count", "counter", "gauge", "latency", "total"];

#[test]
fn every_metric_is_listed_and_every_listed_one_exists() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Vec::new();
    for entry in fs::read_dir(crates).unwrap() {
        collect(&entry.unwrap().path().join("src"), &mut sources);
    }
    let found: BTreeSet<String> =
        sources.iter().flat_map(|path| literals(&fs::read_to_string(path).unwrap())).collect();
    let rows = LIST.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    let unknown: Vec<_> = listed.difference(&found).collect();
    assert!(unknown.is_empty(), "docs/metrics.md lists what nobody names: {unknown:?}");
    let made: BTreeSet<String> =
        sources.iter().flat_map(|path| made(&fs::read_to_string(path).unwrap())).collect();
    let missing: Vec<_> = made.difference(&listed).collect();
    assert!(made.len() > 40 && missing.is_empty(), "docs/metrics.md does not list {missing:?}");
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("list a directory of sources").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Texts of the form of a metric's name.
fn literals(source: &str) -> Vec<String> {
    source.split('"').filter(|text| is_name(text)).map(str::to_owned).collect()
}

/// The first argument of what makes metrics, where it is a text.
fn made(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for maker in MAKERS {
        for (at, _) in source.match_indices(&format!("{maker}(")) {
            let arguments = source[at + maker.len() + 1..].trim_start();
            let name = arguments.strip_prefix('"').and_then(|rest| rest.split_once('"'));
            found.extend(name.map(|(name, _)| name.to_owned()).filter(|name| is_name(name)));
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    let is_ours = text.starts_with("onefold_") || text.starts_with("process_");
    is_ours && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
