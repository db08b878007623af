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
    css!("style/base.css"),
    css!("style/parts.css"),
    css!("style/system.css"),
    css!("style/traces.css"),
    css!("style/logs.css"),
    css!("style/charts.css"),
    js!("alerts/view.js"),
    js!("core/api.js"),
    js!("core/dom.js"),
    js!("core/format.js"),
    js!("core/keys.js"),
    js!("core/live.js"),
    js!("core/poll.js"),
    js!("core/router.js"),
    js!("core/session.js"),
    js!("core/size.js"),
    js!("core/stream.js"),
    js!("core/theme.js"),
    js!("core/time.js"),
    js!("faults/during.js"),
    js!("faults/form.js"),
    js!("faults/view.js"),
    js!("flags/flag.js"),
    js!("flags/history.js"),
    js!("flags/setting.js"),
    js!("flags/view.js"),
    js!("jobs/job.js"),
    js!("jobs/view.js"),
    js!("logs/line.js"),
    js!("logs/lines.js"),
    js!("logs/view.js"),
    js!("main.js"),
    js!("metrics/boards.js"),
    js!("metrics/panel.js"),
    js!("metrics/series.js"),
    js!("metrics/view.js"),
    js!("parts/chart.js"),
    js!("parts/dialog.js"),
    js!("parts/login.js"),
    js!("parts/mark.js"),
    js!("parts/notice.js"),
    js!("parts/scale.js"),
    js!("parts/shell.js"),
    js!("parts/sparkline.js"),
    js!("parts/toast.js"),
    js!("system/boxes.js"),
    js!("system/figures.js"),
    js!("system/graph.js"),
    js!("system/happenings.js"),
    js!("system/layout-stacked.js"),
    js!("system/layout.js"),
    js!("system/links.js"),
    js!("system/names.js"),
    js!("system/panel-metrics.js"),
    js!("system/panel.js"),
    js!("system/rails.js"),
    js!("system/requests.js"),
    js!("system/view.js"),
    js!("traces/compare.js"),
    js!("traces/facts.js"),
    js!("traces/list.js"),
    js!("traces/search.js"),
    js!("traces/span.js"),
    js!("traces/trace.js"),
    js!("traces/tree.js"),
    js!("traces/view.js"),
    js!("traces/waterfall.js"),
    js!("views.js"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn found(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { found(&path, files) } else { files.push(path) }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let mut paths = Vec::new();
        found(&folder, &mut paths);
        let mut there: Vec<String> = paths
            .iter()
            .map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut listed: Vec<String> = ALL.iter().map(|file| file.name.to_owned()).collect();
        there.sort();
        listed.sort();
        assert_eq!(there, listed);
    }
}
