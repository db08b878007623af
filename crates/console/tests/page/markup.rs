//! Telemetry is text: the page has no way to make anything else of it.

use crate::files;

/// Every way by which a script makes markup or code of text.
const FORBIDDEN: [&str; 14] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "createContextualFragment",
    "DOMParser",
    "setHTMLUnsafe",
    "parseHTMLUnsafe",
    "srcdoc",
    "eval(",
    "new Function",
    "setTimeout(\"",
    "setInterval(\"",
    "javascript:",
];

#[test]
fn no_script_turns_text_into_markup_or_code() {
    for (path, text) in files("js") {
        for way in FORBIDDEN {
            assert!(!text.contains(way), "{} has {way}", path.display());
        }
    }
}

#[test]
fn the_document_has_nothing_inline_and_nothing_from_elsewhere() {
    for (path, text) in files("html") {
        let scripts = text.matches("<script").count();
        assert_eq!(scripts, text.matches("<script type=\"module\" src=\"@/").count(), "{}", path.display());
        for inline in ["<style", " style=", " onload", " onclick", "http://", "https://", "//cdn"] {
            assert!(!text.contains(inline), "{} has {inline}", path.display());
        }
    }
    for (path, text) in files("js").into_iter().chain(files("css")) {
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{}", path.display());
        assert!(!text.contains("@import") && !text.contains("url("), "{}", path.display());
    }
}

#[test]
fn files_are_small_and_say_what_they_are() {
    const LINES_MAX: usize = 200;
    for (path, text) in files("js") {
        assert!(text.lines().count() <= LINES_MAX, "{} is longer than {LINES_MAX} lines", path.display());
        assert!(text.starts_with("// "), "{} does not say what it is", path.display());
    }
}
