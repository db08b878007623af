//! Login, tickets, logout, and the limit on wrong tokens.

use crate::{Fixture, bearer};
use onefold_console::{Access, Config, Read, Tls, Tokens};
use std::time::Duration;

#[tokio::test]
async fn login_sets_a_cookie_that_scripts_and_other_sites_cannot_use() {
    let fixture = Fixture::new(Read::Token);
    let answer = fixture.log_in(fixture.tokens.get(Access::Operate).expose()).await;
    let cookie = answer.header("set-cookie");
    for part in ["onefold_console_8500=", "HttpOnly", "SameSite=Strict", "Path=/api", "Max-Age=86400"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    assert_eq!(
        (answer.body["role"].as_str(), answer.body["system"].as_str()),
        (Some("operate"), Some("links"))
    );
    let tls = Config { tls: Some(Tls { certificate: "c".into(), key: "k".into() }), ..Config::default() };
    let fixture = Fixture::with(tls);
    let answer = fixture.log_in(fixture.tokens.get(Access::View).expose()).await;
    assert!(answer.header("set-cookie").ends_with("; Secure"));
    assert!(!answer.header("strict-transport-security").is_empty());
}

#[tokio::test]
async fn a_session_knows_itself_and_ends_at_logout() {
    let fixture = Fixture::new(Read::Token);
    let nobody = fixture.get("/api/session", &[]).await;
    assert_eq!((nobody.status.as_u16(), nobody.body["role"].is_null()), (200, true));
    let (cookie, csrf) = fixture.session(Access::View).await;
    assert_eq!(fixture.get("/api/session", &[("cookie", &cookie)]).await.body["csrf"], csrf);
    assert_eq!(fixture.send("DELETE", "/api/session", &[("cookie", &cookie)], "").await.status, 403);
    let out = [("cookie", cookie.as_str()), ("onefold-csrf", csrf.as_str())];
    let answer = fixture.send("DELETE", "/api/session", &out, "").await;
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(fixture.get("/api/flags/a", &[("cookie", &cookie)]).await.status, 401);
}

#[tokio::test]
async fn an_old_session_is_over() {
    let fixture = Fixture::new(Read::Token);
    let (cookie, _) = fixture.session(Access::View).await;
    fixture.clock.advance(Duration::from_hours(9));
    assert_eq!(fixture.get("/api/flags/a", &[("cookie", &cookie)]).await.status, 401);
}

#[tokio::test]
async fn a_new_login_ends_the_session_it_came_with() {
    let fixture = Fixture::new(Read::Token);
    let (cookie, _) = fixture.session(Access::View).await;
    let body = serde_json::json!({ "token": fixture.tokens.get(Access::Operate).expose() }).to_string();
    let headers = [("cookie", cookie.as_str()), ("content-type", "application/json")];
    let answer = fixture.send("POST", "/api/session", &headers, &body).await;
    assert_ne!(answer.cookie(), cookie);
    assert_eq!(fixture.get("/api/flags/a", &[("cookie", &cookie)]).await.status, 401);
}

#[tokio::test]
async fn a_ticket_opens_one_session_within_a_day_and_nothing_else() {
    let mut fixture = Fixture::new(Read::Token);
    let ticket = fixture.ticket(Access::Operate, fixture.clock.wall());
    assert_eq!(
        fixture.get("/api/flags/a", &[("authorization", &format!("Bearer {ticket}"))]).await.status,
        401
    );
    assert_eq!(fixture.log_in(&ticket).await.body["role"], "operate");
    let again = fixture.log_in(&ticket).await;
    assert_eq!(again.status, 401);
    assert!(again.body["detail"].as_str().unwrap().contains("has been used"));
    fixture.restart();
    assert_eq!(fixture.log_in(&ticket).await.status, 401, "not after a restart either");
    let late = fixture.ticket(Access::View, fixture.clock.wall());
    fixture.clock.advance(Tokens::TICKET_LIFE);
    assert_eq!(fixture.log_in(&late).await.status, 401);
}

#[tokio::test]
async fn login_takes_json_only_and_says_what_is_wrong() {
    let fixture = Fixture::new(Read::Token);
    let token = fixture.tokens.get(Access::View).expose();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(fixture.send("POST", "/api/session", &form, &format!("token={token}")).await.status, 415);
    let json = [("content-type", "application/json")];
    for body in [
        "",
        "{}",
        "{\"token\":1}",
        "{\"token\":\"a\",\"x\":1}",
        &format!("{{\"token\":\"{}\"}}", "a".repeat(5000)),
    ] {
        assert_eq!(fixture.send("POST", "/api/session", &json, body).await.status, 400);
    }
    assert_eq!(fixture.log_in("wrong").await.status, 401);
}

#[tokio::test]
async fn guessing_is_slowed_down_for_bearers_and_logins_alike_but_sessions_go_on() {
    let fixture = Fixture::new(Read::Token);
    let (cookie, _) = fixture.session(Access::View).await;
    for _ in 0..5 {
        assert_eq!(fixture.log_in("wrong").await.status, 401);
        assert_eq!(fixture.get("/api/flags/a", &[("authorization", "Bearer wrong")]).await.status, 401);
    }
    let right = bearer(&fixture, Access::Operate);
    let refused = fixture.get("/api/flags/a", &[("authorization", &right)]).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "7"));
    assert_eq!(fixture.log_in(fixture.tokens.get(Access::View).expose()).await.status, 429);
    assert_eq!(fixture.get("/api/flags/a", &[("cookie", &cookie)]).await.status, 200);
    fixture.clock.advance(Duration::from_secs(7));
    assert_eq!(fixture.get("/api/flags/a", &[("authorization", &right)]).await.status, 200);
}
