//! The list of embedded files; a test holds it against the folder `page/`.

use super::File;

macro_rules! file {
    ($name:literal, $kind:literal) => {
        File { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../page/", $name)) }
    };
}

macro_rules! js {
    ($name:literal) => {
        file!($name, "text/javascript; charset=utf-8")
    };
}

macro_rules! css {
    ($name:literal) => {
        file!($name, "text/css; charset=utf-8")
    };
}

/// Every file of the page.
pub(super) const ALL: &[File] = &[
    file!("index.html", "text/html; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    css!("style/theme.css"),
    js!("main.js"),
];
