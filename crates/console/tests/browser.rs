//! The page in a real browser, over the development server. The cases are in `browser/`.

use std::path::Path;
use std::process::Command;

/// Runs a script, which says at its end that all holds.
fn run(script: &str, arguments: &[&str]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(here.join("../../scripts/browser"))
        .arg(here.join("tests/browser").join(script))
        .args(arguments)
        .output()
        .expect("run scripts/browser");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("all hold"), "{told}");
}

#[test]
fn the_page_does_in_chromium_what_it_promises() {
    run("page.mjs", &[]);
}

/// `make soak` runs an hour's number of updates.
#[test]
fn the_page_s_memory_stays_as_it_is_over_many_updates() {
    run("memory.mjs", &["1500"]);
}
