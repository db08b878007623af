//! Host, origin and reads.

use crate::{Fixture, bearer};
use onefold_console::{Access, Config, Read};

#[tokio::test]
async fn a_foreign_host_is_refused_whatever_it_asks_for() {
    let fixture = Fixture::new(Read::Open);
    for path in ["/", "/api/flags/a", "/api/session", "/nothing"] {
        let refused = fixture.get(path, &[("host", "evil.example:8500")]).await;
        assert_eq!(refused.status, 421, "{path}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    assert_eq!(fixture.get("/", &[("host", "127.0.0.1:8500")]).await.status, 200);
    let named = Config { hosts: vec!["console.example.com".into()], ..Config::default() };
    assert_eq!(Fixture::with(named).get("/", &[("host", "console.example.com")]).await.status, 200);
}

#[tokio::test]
async fn a_foreign_origin_is_refused_even_with_a_token() {
    let fixture = Fixture::new(Read::Open);
    let token = bearer(&fixture, Access::Operate);
    for headers in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let refused = fixture.get("/api/flags/a", &[headers, ("authorization", &token)]).await;
        assert_eq!(refused.status, 403, "{headers:?}");
    }
    let ours = [("origin", "http://localhost:8500"), ("sec-fetch-site", "same-origin")];
    assert_eq!(fixture.get("/api/flags/a", &ours).await.status, 200);
}

#[tokio::test]
async fn reads_are_open_only_where_that_is_configured() {
    let open = Fixture::new(Read::Open);
    assert_eq!(open.get("/api/flags/a", &[]).await.body, "read");
    assert_eq!(open.send("POST", "/api/v1/query", &[], "query=up").await.body, "queried");
    let closed = Fixture::new(Read::Token);
    let refused = closed.get("/api/flags/a", &[]).await;
    assert_eq!((refused.status.as_u16(), refused.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(closed.send("POST", "/api/v1/query", &[], "query=up").await.status, 401);
    for access in [Access::View, Access::Operate] {
        let token = bearer(&closed, access);
        assert_eq!(closed.get("/api/flags/a", &[("authorization", &token)]).await.status, 200);
        let (cookie, _) = closed.session(access).await;
        assert_eq!(closed.get("/api/flags/a", &[("cookie", &cookie)]).await.status, 200);
    }
}

#[tokio::test]
async fn a_wrong_credential_is_refused_where_none_would_do() {
    let fixture = Fixture::new(Read::Open);
    for wrong in ["Bearer wrong", "Basic YTpi", "Bearer", ""] {
        assert_eq!(fixture.get("/api/flags/a", &[("authorization", wrong)]).await.status, 401, "{wrong}");
    }
    // A stale cookie is nobody's fault: it reads as none.
    let stale = [("cookie", "onefold_console_8500=0000")];
    assert_eq!(fixture.get("/api/flags/a", &stale).await.status, 200);
}

#[tokio::test]
async fn a_cookie_that_comes_twice_is_none() {
    let fixture = Fixture::new(Read::Token);
    let (cookie, _) = fixture.session(Access::View).await;
    let twice = format!("onefold_console_8500=planted; {cookie}");
    assert_eq!(fixture.get("/api/flags/a", &[("cookie", &twice)]).await.status, 401);
}

#[tokio::test]
async fn every_answer_ties_the_browsers_hands() {
    let fixture = Fixture::new(Read::Token);
    for (path, host) in
        [("/", "localhost"), ("/api/flags/a", "localhost"), ("/nothing", "localhost"), ("/", "evil.example")]
    {
        let answer = fixture.get(path, &[("host", host)]).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path} {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("access-control-allow-origin").is_empty());
    }
    assert_eq!(fixture.get("/api/flags/a", &[]).await.header("cache-control"), "no-store");
}
