//! The page is served without a session: it holds nothing but the way to ask for one.

use crate::Fixture;
use onefold_console::Read;

#[tokio::test]
async fn the_page_and_its_files_are_there_and_kept_by_fingerprint() {
    let fixture = Fixture::new(Read::Token);
    let page = fixture.get("/", &[]).await;
    assert_eq!(page.status, 200);
    let text = page.body.as_str().unwrap().to_owned();
    let paths: Vec<&str> = text.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert!(paths.len() > 3, "{text}");
    for path in &paths {
        let file = fixture.get(path, &[]).await;
        assert_eq!(file.status, 200, "{path}");
        assert!(file.header("cache-control").contains("immutable"), "{path}");
    }
    let tag = page.header("etag").to_owned();
    assert_eq!(fixture.get("/", &[("if-none-match", &tag)]).await.status, 304);
    let elsewhere = paths[0].replacen("/assets/", "/assets/0", 1);
    assert_eq!(fixture.get(&elsewhere, &[]).await.status, 410);
}

#[tokio::test]
async fn deep_links_lead_to_the_page_and_other_paths_to_nothing() {
    let fixture = Fixture::new(Read::Open);
    for path in ["/traces", "/traces/0af7651916cd43dd8448eb211c80319c", "/logs?q=a", "/metrics", "/flags"] {
        assert_eq!(fixture.get(path, &[]).await.header("content-type"), "text/html; charset=utf-8", "{path}");
    }
    for path in ["/nothing", "/api/nothing", "/assets/x/../index.html", "/index.html"] {
        assert!(fixture.get(path, &[]).await.status.as_u16() >= 404, "{path}");
    }
}
