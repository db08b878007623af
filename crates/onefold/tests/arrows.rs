//! The arrows between crates, as `ARCHITECTURE.md` draws them. A new arrow is a design decision: write it there,
//! with its reason, and then here.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

const ARROWS: &[(&str, &[&str])] = &[
    ("links", &["onefold"]),
    (
        "onefold",
        &[
            "onefold-balancer",
            "onefold-cache",
            "onefold-chaos",
            "onefold-console",
            "onefold-coordination",
            "onefold-core",
            "onefold-database",
            "onefold-macros",
            "onefold-observability",
            "onefold-queue",
            "onefold-supervisor",
        ],
    ),
    ("onefold-balancer", &["onefold-core"]),
    ("onefold-cache", &["onefold-core", "onefold-database"]),
    ("onefold-chaos", &["onefold-core"]),
    ("onefold-console", &["onefold-core"]),
    ("onefold-coordination", &["onefold-core", "onefold-database"]),
    ("onefold-core", &[]),
    ("onefold-database", &["onefold-core"]),
    ("onefold-lab", &["onefold-core"]),
    ("onefold-macros", &[]),
    ("onefold-observability", &["onefold-core"]),
    ("onefold-queue", &["onefold-core", "onefold-database"]),
    ("onefold-supervisor", &["onefold-core"]),
];

#[test]
fn crates_know_only_those_that_the_architecture_allows() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let found: BTreeMap<&str, BTreeSet<&str>> = metadata
        .packages
        .iter()
        .map(|package| {
            let own =
                package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
            let own = own.map(|dependency| dependency.name.as_str()).filter(|name| members.contains(name));
            (package.name.as_str(), own.collect())
        })
        .collect();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    assert_eq!(found, allowed);
}

#[test]
fn engines_are_named_only_in_their_folders() {
    // `postgres` is the default engine of every tier. The grown-up engines' names stand in their folders, and where
    // one is chosen; never in the loops above the traits.
    const ENGINES: &[&str] = &["redis", "jetstream", "etcd", "nats::"];
    const CHOICE: &[&str] = &["lib.rs", "config.rs", "config/", "engine.rs"];
    // A harness of tests may start what it needs.
    const FOLDERS: &[&str] = &["redis", "nats", "etcd", "testing/"];
    let root = MetadataCommand::new().no_deps().exec().expect("cargo metadata").workspace_root;
    for tier in ["cache", "queue", "coordination", "database", "balancer"] {
        let source = root.join("crates").join(tier).join("src").into_std_path_buf();
        for file in rust_files(&source) {
            let within = file.strip_prefix(&source).expect("below").to_string_lossy();
            if CHOICE.iter().chain(FOLDERS).any(|place| within.starts_with(place)) {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("read");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let named = ENGINES.iter().find(|engine| line.to_lowercase().contains(**engine));
                assert_eq!(named, None, "{}: {line}", file.display());
            }
        }
    }
}

fn rust_files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("list") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
