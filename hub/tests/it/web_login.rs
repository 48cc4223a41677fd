//! Logging in to the dashboard: with a token, with the code of a link, and how a session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bue_client::{ClientOptions, HubClient};
use bue_hub::{Access, Durability, Hub, SqliteStore, TokenEntry, TokenFile};
use bue_model::Timestamp;
use tempfile::TempDir;

use crate::raw_http::{RawResponse, raw_request_with};
use crate::servers::spawn_hub;
use crate::web::{NOW, WebHub, expect_page};

const WEEK_MS: i64 = 7 * 24 * 3_600_000;

/// The cookie of a reply, as a browser sends it.
fn session(answer: &RawResponse) -> String {
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: bue-session-"));
    let cookie = cookie.unwrap_or_else(|| panic!("no session in {}", answer.head));
    format!("bue-session-{}", cookie.split(';').next().unwrap_or_default())
}

async fn log_in(hub: &WebHub, token: &str) -> RawResponse {
    hub.post("/login", &format!("token={token}&next=%2Fruns%3Fstate%3Dfailed")).await
}

async fn get_with(address: &str, path: &str, cookie: &str) -> RawResponse {
    raw_request_with(address, "GET", path, &[("cookie", cookie)], b"").await
}

#[tokio::test]
async fn a_page_asks_for_a_token_and_leads_back() {
    let hub = WebHub::with_tokens().await;
    let answer = hub.get("/runs?state=failed").await;
    assert_eq!(answer.status, 303);
    assert!(answer.head.contains("location: /login?next=%2fruns%3fstate%3dfailed"), "{}", answer.head);
    let form = hub.get("/login?next=%2Fruns%3Fstate%3Dfailed").await;
    expect_page(&form, 200, "/login");
    assert!(form.body.contains("name=\"next\" value=\"/runs?state=failed\""), "{}", form.body);
    let answer = log_in(&hub, "viewer").await;
    assert_eq!(answer.status, 303);
    assert!(answer.head.contains("location: /runs?state=failed"), "{}", answer.head);
    let cookie = answer.head.lines().find(|line| line.starts_with("set-cookie: ")).expect("a cookie");
    for attribute in ["; httponly", "; samesite=strict", "; path=/;", "; max-age=604800"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("secure"), "plain HTTP: {cookie}");
    let page = get_with(&hub.address, "/runs", &session(&answer)).await;
    expect_page(&page, 200, "/runs");
    assert!(page.body.contains("viewer") && page.body.contains("action=\"/logout\""), "{}", page.body);
    let elsewhere = hub.post("/login", "token=viewer&next=%2F%2Fevil.example").await;
    assert!(elsewhere.head.contains("location: /\r\n"), "{}", elsewhere.head);
}

#[tokio::test]
async fn behind_tls_the_cookie_is_secure() {
    let hub = WebHub::with_tokens().await;
    let answer = hub.post_with("/login", "token=viewer", &[("origin", "https://localhost")]).await;
    assert!(answer.head.contains("; secure\r\n"), "{}", answer.head);
}

#[tokio::test]
async fn a_session_reads_the_api_and_changes_nothing_there() {
    let hub = WebHub::with_tokens().await;
    let cookie = session(&log_in(&hub, "admin").await);
    assert_eq!(get_with(&hub.address, "/v1/runs", &cookie).await.status, 200);
    let headers = [("cookie", cookie.as_str()), ("origin", "http://localhost")];
    let answer = raw_request_with(&hub.address, "POST", "/v1/runs:delete", &headers, b"{\"all\": true}").await;
    assert_eq!(answer.status, 401, "only tokens change something there: {}", answer.body);
    let headers = [("cookie", cookie.as_str()), ("origin", "http://evil.example")];
    assert_eq!(raw_request_with(&hub.address, "GET", "/v1/runs", &headers, b"").await.status, 401, "a foreign page");
    let nosniff = get_with(&hub.address, "/v1/runs", &cookie).await;
    assert!(nosniff.head.contains("x-content-type-options: nosniff"), "{}", nosniff.head);
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_with_what_the_token_permits() {
    let mut hub = WebHub::with_tokens().await;
    hub.failed_run().await;
    let (viewer, operator) = (session(&log_in(&hub, "viewer").await), session(&log_in(&hub, "operator").await));
    assert_eq!(get_with(&hub.address, "/runs", &viewer).await.status, 200);
    assert!(hub.tokens.delete("viewer").expect("a file"));
    assert_eq!(get_with(&hub.address, "/runs", &viewer).await.status, 303, "back to the login");
    assert_eq!(get_with(&hub.address, "/v1/runs", &viewer).await.status, 401);
    // the same name and another token
    let again = TokenEntry::new("another", bue_hub::Role::Admin, "viewer", Timestamp(1)).expect("a token");
    hub.tokens.add(again).expect("added");
    assert_eq!(get_with(&hub.address, "/runs", &viewer).await.status, 303, "another token of that name");
    assert_eq!(get_with(&hub.address, "/runs", &operator).await.status, 200, "others go on");
}

#[tokio::test]
async fn logging_out_takes_the_cookie_away() {
    let hub = WebHub::with_tokens().await;
    let cookie = session(&log_in(&hub, "viewer").await);
    let headers = [("origin", "http://localhost"), ("cookie", cookie.as_str())];
    let answer = hub.post_with("/logout", "", &headers).await;
    assert!(answer.status == 303 && answer.head.contains("location: /login"), "{}", answer.head);
    assert!(answer.head.contains("; max-age=0"), "{}", answer.head);
}

#[tokio::test]
async fn a_wrong_token_is_told_and_repeated_ones_have_to_wait() {
    let hub = WebHub::with_tokens().await;
    for _ in 0..3 {
        let answer = log_in(&hub, "wrong").await;
        expect_page(&answer, 403, "/login");
        assert!(
            answer.body.contains("does not know this token") && !answer.head.contains("set-cookie"),
            "{}",
            answer.body
        );
    }
    let answer = log_in(&hub, "wrong").await;
    expect_page(&answer, 429, "/login");
    assert!(answer.head.contains("\r\nretry-after: ") && answer.body.contains("Try again in"), "{}", answer.body);
    let answer = log_in(&hub, "viewer").await;
    assert_eq!(answer.status, 429, "a right one waits, too: the wait says nothing about tokens");
}

#[tokio::test]
async fn a_form_of_another_site_logs_nobody_in_and_changes_nothing() {
    let mut hub = WebHub::open().await;
    let (run, job) = hub.failed_run().await;
    let paths = [
        "/login".to_owned(),
        "/logout".to_owned(),
        "/theme".to_owned(),
        "/runs/new".to_owned(),
        "/runs/change".to_owned(),
        format!("/runs/{run}/cancel"),
        format!("/runs/{run}/reset"),
        format!("/runs/{run}/delete"),
        format!("/runs/{run}/rerun"),
        format!("/jobs/{job}/reset"),
        format!("/jobs/{job}/cancel"),
    ];
    for path in &paths {
        for headers in
            [&[][..], &[("origin", "http://evil.example")], &[("origin", "null")], &[("sec-fetch-site", "cross-site")]]
        {
            let answer = hub.post_with(path, "token=viewer&confirmed=1&action=delete&theme=dark", headers).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}: {}", answer.body);
            assert!(!answer.head.contains("set-cookie"), "{path}: {}", answer.head);
        }
    }
    assert_eq!(hub.world.view(run).await.counts.failed, 1);
    assert!(hub.audit().await.is_empty(), "nothing was changed");
}

/// A browser leaves the cookie of a strict session out when it follows a link of another site; the page asks again by itself.
#[tokio::test]
async fn a_link_of_another_site_opens_the_page_with_the_session() {
    let hub = WebHub::with_tokens().await;
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let answer = raw_request_with(&hub.address, "GET", "/runs", &link, b"").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.contains("http-equiv=\"refresh\" content=\"0\"") && !answer.body.contains("<h1>"),
        "{}",
        answer.body
    );
    let script = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")];
    let open = WebHub::open().await;
    assert_eq!(raw_request_with(&open.address, "GET", "/runs", &script, b"").await.status, 403);
}

#[tokio::test]
async fn a_link_logs_in_once_and_within_a_minute() {
    let folder = TempDir::new().expect("a folder");
    let tokens = TokenFile::new(folder.path().join("bue.tokens"));
    tokens
        .add(TokenEntry::new("secret", bue_hub::Role::Operator, "ada", Timestamp(1)).expect("a token"))
        .expect("added");
    let store = Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
    let now = Arc::new(AtomicI64::new(NOW));
    let clock = |now: &Arc<AtomicI64>| {
        let now = now.clone();
        Arc::new(move || Timestamp(now.load(Ordering::Relaxed)))
    };
    let access = || Access::from_token_file(tokens.path().to_owned()).expect("a file");
    let address = spawn_hub(Hub::with_clock(store.clone(), clock(&now)).with_access(access())).await;
    let other = spawn_hub(Hub::with_clock(store, clock(&now)).with_access(access())).await;
    let client =
        HubClient::with_options(std::slice::from_ref(&address), ClientOptions::with_token("secret")).expect("a client");
    let path = async || {
        let link = client.web_link().await.expect("a link");
        link.strip_prefix(&format!("http://{address}")).expect("the hub's address").to_owned()
    };
    let link = path().await;
    assert!(link.starts_with("/login?code="), "{link}");
    let answer = raw_request_with(&address, "GET", &link, &[], b"").await;
    assert!(answer.status == 303 && answer.head.contains("location: /\r\n"), "{}", answer.head);
    let cookie = session(&answer);
    for hub in [&address, &other] {
        let page = get_with(hub, "/", &cookie).await;
        expect_page(&page, 200, "/");
        assert!(page.body.contains("ada") && page.body.contains("operator"), "{}", page.body);
    }
    let again = raw_request_with(&address, "GET", &link, &[], b"").await;
    expect_page(&again, 403, "/login");
    assert!(again.body.contains("used already, or is older than a minute"), "{}", again.body);
    let foreign = path().await;
    let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let answer = raw_request_with(&address, "GET", &foreign, &headers, b"").await;
    assert!(answer.status == 403 && answer.body.contains("came from another site"), "{}", answer.body);
    assert_eq!(raw_request_with(&address, "GET", &foreign, &[], b"").await.status, 303, "it was not used up");
    let late = path().await;
    now.fetch_add(60_000, Ordering::Relaxed);
    assert_eq!(raw_request_with(&address, "GET", &late, &[], b"").await.status, 403, "a minute later");
    let cookie_as_code = format!("/login?code={}", cookie.split_once('=').expect("a value").1);
    assert_eq!(raw_request_with(&address, "GET", &cookie_as_code, &[], b"").await.status, 403);
    let code = path().await;
    let code_as_cookie = code.replace("/login?code=", &format!("{}=", cookie.split_once('=').expect("a name").0));
    assert_eq!(get_with(&address, "/", &code_as_cookie).await.status, 303);
    now.fetch_add(WEEK_MS, Ordering::Relaxed);
    assert_eq!(get_with(&address, "/", &cookie).await.status, 303, "a session lasts a week");
}

#[tokio::test]
async fn an_open_hub_needs_no_login() {
    let hub = WebHub::open().await;
    let client =
        HubClient::with_options(std::slice::from_ref(&hub.address), ClientOptions::default()).expect("a client");
    assert_eq!(client.web_link().await.expect("a link"), format!("http://{}/", hub.address));
    let answer = hub.get("/login?next=%2Fruns").await;
    assert!(answer.status == 303 && answer.head.contains("location: /runs"), "{}", answer.head);
    let host = "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(crate::raw_http::send_bytes(&hub.address, host.as_bytes()).await.status, 403, "DNS rebinding");
}

#[tokio::test]
async fn colours_are_kept_in_a_cookie() {
    let hub = WebHub::open().await;
    let answer = hub.post("/theme", "theme=dark&back=%2Fruns").await;
    assert!(answer.status == 303 && answer.head.contains("location: /runs"), "{}", answer.head);
    assert!(answer.head.contains("set-cookie: bue-theme=dark; path=/"), "{}", answer.head);
    let headers = [("origin", "http://localhost"), ("referer", "http://localhost/runs?state=failed")];
    let answer = hub.post_with("/theme", "theme=light", &headers).await;
    assert!(answer.head.contains("location: /runs?state=failed\r\n"), "back to the page: {}", answer.head);
    let page = get_with(&hub.address, "/runs", "bue-theme=dark").await;
    assert!(page.body.contains("data-theme=\"dark\""));
    let page = get_with(&hub.address, "/runs", "bue-theme=<script>").await;
    assert!(page.body.contains("data-theme=\"system\""));
}
