//! The page in a real browser, over the development server. The cases are in `browser/page.mjs`.

use std::path::Path;
use std::process::Command;

#[test]
fn the_page_does_in_chromium_what_it_promises() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(here.join("../../scripts/browser"))
        .arg(here.join("tests/browser/page.mjs"))
        .output()
        .expect("run scripts/browser");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("all hold"), "{told}");
}
