//! Changes: role, CSRF and the audit.

use crate::{Fixture, bearer};
use onefold_console::{Access, Read};

#[tokio::test]
async fn a_change_needs_the_role_operate_even_where_reads_are_open() {
    let fixture = Fixture::new(Read::Open);
    assert_eq!(fixture.put(&[]).await.status, 401);
    let view = bearer(&fixture, Access::View);
    assert_eq!(fixture.put(&[("authorization", &view)]).await.status, 403);
    let operate = bearer(&fixture, Access::Operate);
    let done = fixture.put(&[("authorization", &operate)]).await;
    assert_eq!((done.status.as_u16(), done.body.as_str()), (200, Some("token:operate may operate")));
}

#[tokio::test]
async fn a_change_by_cookie_needs_the_sessions_own_csrf_header() {
    let fixture = Fixture::new(Read::Open);
    let (cookie, csrf) = fixture.session(Access::Operate).await;
    let (_, foreign) = fixture.session(Access::Operate).await;
    assert_eq!(fixture.put(&[("cookie", &cookie)]).await.status, 403);
    for wrong in ["", "0", &foreign, &csrf[1..], &format!("{csrf}0")] {
        let refused = fixture.put(&[("cookie", &cookie), ("onefold-csrf", wrong)]).await;
        assert_eq!(refused.status, 403, "{wrong}");
    }
    let done = fixture.put(&[("cookie", &cookie), ("onefold-csrf", &csrf)]).await;
    assert_eq!((done.status.as_u16(), done.body.as_str()), (200, Some("Ada may operate")));
    let (cookie, csrf) = fixture.session(Access::View).await;
    assert_eq!(fixture.put(&[("cookie", &cookie), ("onefold-csrf", &csrf)]).await.status, 403);
}

#[tokio::test]
async fn the_audit_says_who_did_what_and_never_what_was_sent() {
    let fixture = Fixture::new(Read::Open);
    let (cookie, csrf) = fixture.session(Access::Operate).await;
    fixture.put(&[("cookie", &cookie), ("onefold-csrf", &csrf)]).await;
    fixture.put(&[("cookie", &cookie)]).await;
    fixture.put(&[]).await;
    let lines = fixture.audited();
    let told: Vec<(&str, &str, u64)> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap();
            (text("who"), text("path"), line["status"].as_u64().unwrap())
        })
        .collect();
    let expected = [
        ("Ada", "/api/session", 200),
        ("Ada", "/api/flags/preview", 200),
        ("Ada", "/api/flags/preview", 403),
    ];
    assert_eq!(told, expected);
    let text = format!("{lines:?}");
    let token = fixture.tokens.get(Access::Operate).expose();
    assert!(!text.contains("hunter2") && !text.contains(token) && !text.contains(&csrf), "{text}");
}
