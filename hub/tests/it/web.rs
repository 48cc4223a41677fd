//! The dashboard over HTTP: every page, hostile texts, roles, sizes, and queries that make no sense.

use std::path::PathBuf;
use std::sync::Arc;

use bue_hub::{
    Access, AuditEntry, AuditQuery, Durability, Hub, JobStore, Role, ScheduleSpec, ScheduleUpdate, SqliteStore,
    TokenEntry, TokenFile, dashboard_routes,
};
use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::wire::{Report, Submission};
use bue_model::{Failure, FailureKind, Input, JobId, Outcome, RunId, Timestamp, Value, ValueRef, cbor};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::contract::pipelines::{plan, publish};
use crate::http_pipelines::publication;
use crate::proptest_runner::runner;
use crate::raw_http::{RawResponse, raw_request_with};
use crate::script::{Script, submission};
use crate::servers::spawn_hub;
use crate::world::{World, list};

pub(crate) const NOW: i64 = 1_800_000_000_000;
/// Markup, an attribute's end, a character that reorders text, a terminal's escape, and an entity.
const HOSTILE: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>\u{202e}\u{1b}[31m&lt;b&gt;'`{{";

/// A hub with a dashboard. With tokens, that of each role is the name of the role, and has it as its name.
pub(crate) struct WebHub {
    pub(crate) address: String,
    pub(crate) world: World,
    pub(crate) tokens: TokenFile,
    _folder: TempDir,
}

impl WebHub {
    /// Open to everyone on this machine.
    pub(crate) async fn open() -> Self {
        Self::start(|_| Access::open()).await
    }

    pub(crate) async fn with_tokens() -> Self {
        Self::start(|tokens| {
            for role in Role::ALL {
                let entry = TokenEntry::new(role.name(), role, role.name(), Timestamp(1)).expect("a token");
                tokens.add(entry).expect("added");
            }
            Access::from_token_file(tokens.path().to_owned()).expect("a file")
        })
        .await
    }

    async fn start(access: impl FnOnce(&TokenFile) -> Access) -> Self {
        let folder = TempDir::new().expect("a folder");
        let tokens = TokenFile::new(PathBuf::from(folder.path()).join("bue.tokens"));
        let store: Arc<dyn JobStore> =
            Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
        let hub = Hub::with_clock(store.clone(), Arc::new(|| Timestamp(NOW))).with_access(access(&tokens));
        let mut world = World::new(store);
        world.now = NOW;
        Self { address: spawn_hub(hub).await, world, tokens, _folder: folder }
    }

    pub(crate) async fn get(&self, path: &str) -> RawResponse {
        raw_request_with(&self.address, "GET", path, &[], b"").await
    }

    /// Gets a page with the token of a role.
    pub(crate) async fn get_as(&self, role: &str, path: &str) -> RawResponse {
        let bearer = format!("Bearer {role}");
        raw_request_with(&self.address, "GET", path, &[("authorization", &bearer)], b"").await
    }

    /// Sends a form as a page of the hub does.
    pub(crate) async fn post(&self, path: &str, form: &str) -> RawResponse {
        self.post_with(path, form, &[("origin", "http://localhost")]).await
    }

    pub(crate) async fn post_with(&self, path: &str, form: &str, headers: &[(&str, &str)]) -> RawResponse {
        let headers = [&[("content-type", "application/x-www-form-urlencoded")], headers].concat();
        raw_request_with(&self.address, "POST", path, &headers, form.as_bytes()).await
    }

    /// What was recorded, newest first: who, what, and to what.
    pub(crate) async fn audit(&self) -> Vec<(String, String, String)> {
        let list = self.world.store.audit_page(AuditQuery { limit: 100, ..AuditQuery::default() }).await;
        let entries = list.expect("the audit").entries.into_iter();
        entries.map(|entry| (entry.actor, entry.action, entry.target)).collect()
    }

    /// A run of two steps whose second one failed. Returns the run and the failed job.
    pub(crate) async fn failed_run(&mut self) -> (RunId, JobId) {
        let mut script = Script::new();
        script.call(&["fetch", "load"], &[]);
        let run = self.world.submit(script).await;
        self.world.lease_and_report("fetch", result(&Value::Int(7))).await;
        let job = self.world.lease_and_report("load", failure("no luck")).await.job();
        (run, job)
    }
}

pub(crate) fn result(value: &Value) -> Outcome {
    Outcome::Completed { value: ValueRef::Inline(cbor::encode(value).into()), hints: Hints::default() }
}

fn failure(message: &str) -> Outcome {
    let trace = Some(format!("Traceback of {message}"));
    Outcome::Failed(Failure { trace, ..Failure::new(FailureKind::Raised, message) })
}

/// Where a form leads that was accepted.
pub(crate) fn location(answer: &RawResponse) -> &str {
    assert_eq!(answer.status, 303, "{} {}", answer.head, answer.body);
    answer.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location")
}

/// Checks that a page is what every page is: bounded, protected, with landmarks, and without scripts or styles in it.
pub(crate) fn expect_page(answer: &RawResponse, status: u16, path: &str) {
    assert_eq!(answer.status, status, "{path}: {}", answer.body);
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: same-origin",
        "x-frame-options: deny",
        "cache-control: no-store",
    ] {
        assert!(answer.head.contains(&format!("\r\n{header}")), "{path} lacks {header}: {}", answer.head);
    }
    let body = &answer.body;
    for part in ["<!DOCTYPE html>", "lang=\"en\"", "class=\"skip\"", "<main id=\"main\"", "<h1>", "aria-label=\"Main\""]
    {
        assert!(body.contains(part) || path.starts_with("/login"), "{path} lacks {part}");
    }
    assert_eq!(body.matches("<h1>").count(), 1, "{path}");
    assert_eq!(body.matches("<script").count(), 1, "{path} has one script, and that is loaded");
    for inline in [" style=", "javascript:", " onclick=", " onerror=a", "<style", "\u{202e}", "\u{1b}"] {
        assert!(!body.contains(inline), "{path} contains {inline:?}");
    }
}

#[tokio::test]
async fn every_page_is_there_and_safe() {
    let mut hub = WebHub::open().await;
    let empty = ["/", "/runs", "/runs/new", "/errors", "/pipelines", "/schedules", "/workers", "/settings"];
    for path in empty {
        expect_page(&hub.get(path).await, 200, path);
    }
    let (run, job) = hub.failed_run().await;
    publish(&hub.world, "p", 9, plan("a")).await;
    let other = format!("/runs/{run}/diff/{run}");
    let mut paths = vec![format!("/jobs/{job}"), other, "/pipelines/p".to_owned(), "/runs/new?pipeline=p".to_owned()];
    let tabs = ["", "?tab=jobs", "?tab=results", "?tab=parameters", "?tab=activity", "?tab=plan", "?tab=other"];
    paths.extend(tabs.map(|tab| format!("/runs/{run}{tab}")));
    paths.extend(empty.map(str::to_owned));
    for path in &paths {
        expect_page(&hub.get(path).await, 200, path);
    }
    assert!(hub.get("/").await.body.contains("<title>(1) Overview · bue</title>"), "failures are in the title");
    assert!(hub.get(&format!("/jobs/{job}")).await.body.contains("<title>(1) load"));
}

#[tokio::test]
async fn what_is_not_there_has_a_page_that_says_where_to_look() {
    let hub = WebHub::open().await;
    let html = [("accept", "text/html,application/xhtml+xml")];
    for (path, status, part) in [
        ("/runs/00000000-0000-0000-0000-000000000009", 404, "after seven days"),
        ("/jobs/9", 404, "after seven days"),
        ("/runs/7", 400, "not a valid run id"),
        ("/nothing", 404, "There is no page /nothing"),
        ("/runs/change", 400, "not a valid run id"),
    ] {
        let answer = raw_request_with(&hub.address, "GET", path, &html, b"").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.body.contains(part), "{path}: {}", answer.body);
        assert!(answer.body.contains("<main id=\"main\""), "{path}: {}", answer.body);
    }
    let api = raw_request_with(&hub.address, "GET", "/v1/nothing", &html, b"").await;
    assert!(api.status == 404 && api.body.starts_with("{\"error\""), "the API answers with JSON: {}", api.body);
    let answer = hub.get("/nothing").await;
    assert!(answer.status == 404 && answer.body.starts_with("{\"error\""), "programs get JSON: {}", answer.body);
}

#[tokio::test]
async fn texts_of_others_are_never_markup() {
    let mut hub = WebHub::open().await;
    let mut script = Script::new();
    script.call(&[HOSTILE, "load"], &[]);
    script.set("load", |settings| settings.scope = "<b>scope".into());
    let submitted = Submission { name: HOSTILE.to_owned(), ..submission(1, script.plan()) };
    let run = hub.world.store.submit(Timestamp(NOW), submitted).await.expect("a run");
    let map = Value::Map(vec![(Value::Text(HOSTILE.to_owned()), Value::List(vec![Value::Text(HOSTILE.to_owned())]))]);
    hub.world.lease_and_report(HOSTILE, result(&map)).await;
    hub.world.scopes = vec!["<b>scope".into()];
    let held = hub.world.lease_one().await;
    let log = ValueRef::Inline(format!("{HOSTILE}\n{}\n", "x".repeat(60_000)).into_bytes().into());
    let (job, token) = (held.job(), held.lease.token);
    let outcome = failure(HOSTILE);
    hub.world
        .send_report(Report {
            job,
            token,
            outcome,
            log: Some(log),
            arguments: Vec::new(),
            usage: AttemptUsage::of_ms(1),
        })
        .await;
    let entry = AuditEntry {
        actor: HOSTILE.to_owned(),
        role: None,
        action: "run.cancel".to_owned(),
        target: HOSTILE.to_owned(),
        run: Some(run),
        detail: serde_json::json!({ HOSTILE: HOSTILE }),
    };
    hub.world.store.record_audit(Timestamp(NOW), entry).await.expect("recorded");
    let first = job.0 - 1;
    for path in [
        "/".to_owned(),
        "/runs".to_owned(),
        format!("/runs/{run}"),
        format!("/runs/{run}?tab=results"),
        format!("/runs/{run}?tab=plan"),
        format!("/runs/{run}?tab=activity"),
        format!("/jobs/{job}"),
        format!("/jobs/{first}"),
        "/errors".to_owned(),
        "/runs?name=%3Cscript%3Ealert(1)%3C/script%3E&state=%22%3E%3Cimg%20src=x%20onerror=a".to_owned(),
        "/runs/new?pipeline=%3Cscript%3E".to_owned(),
    ] {
        let answer = hub.get(&path).await;
        // what a form sends is not shown, and has to be exact
        let shown: String =
            answer.body.split(" value=\"").map(|part| part.split_once('"').map_or(part, |(_, rest)| rest)).collect();
        for markup in ["<script>", "<img src=x", "<b>", "\u{202e}", "\u{1b}"] {
            assert!(!shown.contains(markup), "{path} contains {markup:?}: {}", answer.body);
            assert!(!markup.starts_with('<') || !answer.body.contains(markup), "{path} has {markup} in a value");
        }
        assert!(answer.status < 500, "{path}: {}", answer.status);
    }
    let page = hub.get(&format!("/jobs/{job}")).await.body;
    assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("\\u{202e}"), "the text is there: {page}");
    assert!(hub.get(&format!("/jobs/{first}")).await.body.contains("list of 1"), "the result is a tree");
}

#[tokio::test]
async fn a_page_is_small_however_much_there_is() {
    let mut hub = WebHub::open().await;
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, element| script.call(&["work"], &[element]));
    let run = hub.world.submit(script).await;
    hub.world.lease_and_report("source", list(10_000)).await;
    bue_test_support::wait::wait_until_async("the rounds are there", async || {
        hub.world.view(run).await.counts.available >= 10_000
    })
    .await;
    let path = format!("/runs/{run}?tab=jobs&step=work");
    let answer = hub.get(&path).await;
    expect_page(&answer, 200, &path);
    assert!(answer.body.contains("next page"), "the jobs are on pages");
    assert_eq!(answer.body.matches("class=\"row-link\"").count(), 100);
    assert!(answer.body.len() < 150_000, "{} bytes", answer.body.len());
    let next =
        answer.body.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|link| link.contains("after="));
    let next = hub.get(&next.expect("a link to the next page").replace("&amp;", "&")).await;
    assert_eq!(next.body.matches("class=\"row-link\"").count(), 100);
}

/// What a browser loads at first: the page, the style sheet, the module and the icon, compressed.
#[tokio::test]
async fn a_first_page_loads_at_most_sixty_kilobytes() {
    let mut hub = WebHub::open().await;
    let (run, job) = hub.failed_run().await;
    for _ in 0..60 {
        hub.failed_run().await;
    }
    let of_run = [format!("/runs/{run}"), format!("/jobs/{job}")];
    for path in ["/", "/activity", "/runs", "/errors", "/settings"].into_iter().chain(of_run.iter().map(String::as_str))
    {
        let page = hub.get(path).await.body;
        let loaded = page.split(['"']).filter(|text| text.starts_with("/assets/"));
        let mut names: Vec<&str> = loaded.collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 3, "{names:?}");
        let mut bytes = compressed_length(&hub, path).await;
        for name in names {
            let asset = hub.get(name).await;
            assert_eq!(asset.status, 200, "{name}");
            assert!(asset.head.contains("cache-control: public, max-age=31536000, immutable"), "{}", asset.head);
            bytes += compressed_length(&hub, name).await;
        }
        assert!(bytes <= 60 * 1024, "{path} loads {bytes} bytes");
    }
    let other = hub.get("/assets/style-0000000000000000.css").await;
    assert_eq!(other.status, 404, "a file of another release");
}

async fn compressed_length(hub: &WebHub, path: &str) -> usize {
    let answer = raw_request_with(&hub.address, "GET", path, &[("accept-encoding", "br, gzip")], b"").await;
    assert!(answer.head.contains("\r\ncontent-encoding: gzip"), "{path}: {}", answer.head);
    let length = answer.head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).expect("a length")
}

#[tokio::test]
async fn roles_see_the_buttons_that_they_may_press() {
    let mut hub = WebHub::with_tokens().await;
    let (run, job) = hub.failed_run().await;
    let page = format!("/runs/{run}");
    for (role, sees) in
        [("viewer", ""), ("submitter", "rerun"), ("operator", "rerun reset delete"), ("admin", "rerun reset delete")]
    {
        let answer = hub.get_as(role, &page).await;
        expect_page(&answer, 200, &page);
        for action in ["rerun", "reset", "delete", "cancel"] {
            let has_button = answer.body.contains(&format!("action=\"{page}/{action}\""));
            assert_eq!(has_button, sees.contains(action), "{role} {action}");
        }
        assert_eq!(
            hub.get_as(role, "/runs").await.body.contains("/runs/change"),
            role != "viewer" && role != "submitter"
        );
        assert_eq!(hub.get_as(role, "/runs").await.body.contains("href=\"/runs/new\""), role != "viewer", "{role}");
        let has_reset = hub.get_as(role, &format!("/jobs/{job}")).await.body.contains(&format!("/jobs/{job}/reset"));
        assert_eq!(has_reset, sees.contains("reset"), "{role}");
    }
    // what is not shown is refused all the same
    for (role, path) in [
        ("viewer", format!("{page}/reset")),
        ("submitter", format!("{page}/delete")),
        ("viewer", format!("/jobs/{job}/reset")),
        ("viewer", "/runs/change".to_owned()),
        ("worker", "/runs/new".to_owned()),
    ] {
        let bearer = format!("Bearer {role}");
        let headers = [("origin", "http://localhost"), ("authorization", bearer.as_str())];
        assert_eq!(hub.post_with(&path, "confirmed=1", &headers).await.status, 403, "{role} {path}");
    }
    assert_eq!(hub.world.view(run).await.counts.failed, 1, "nothing was changed");
}

#[tokio::test]
async fn an_invoker_sees_the_runs_of_its_pipelines_and_no_jobs() {
    let mut hub = WebHub::with_tokens().await;
    hub.tokens
        .add(
            TokenEntry::new("only", Role::Invoker, "only", Timestamp(1))
                .expect("a token")
                .with_pipelines(vec!["mine".into()])
                .expect("pipelines"),
        )
        .expect("added");
    for name in ["mine", "other"] {
        hub.world.store.publish(Timestamp(NOW), name.to_owned(), publication()).await.expect("published");
    }
    let (foreign, _) = hub.failed_run().await;
    let started = |name: &'static str| {
        let form = format!("pipeline={name}&param.day=2026-11-01");
        let hub = &hub;
        async move {
            let headers = [("origin", "http://localhost"), ("authorization", "Bearer only")];
            hub.post_with("/runs/new", &form, &headers).await
        }
    };
    let answer = started("mine").await;
    let path = answer.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a run").to_owned();
    assert!(answer.status == 303 && path.starts_with("/runs/"), "{}", answer.head);
    assert_eq!(started("other").await.status, 403);
    let page = hub.get_as("only", &path).await;
    expect_page(&page, 200, &path);
    assert!(!page.body.contains("tab=jobs") && page.body.contains("tab=results"), "{}", page.body);
    assert_eq!(hub.get_as("only", "/runs").await.status, 403);
    for rest in ["", "/results.json", "/results.csv"] {
        assert_eq!(hub.get_as("only", &format!("/runs/{foreign}{rest}")).await.status, 404, "as if it did not exist");
    }
}

#[tokio::test]
async fn values_are_downloads() {
    let mut hub = WebHub::open().await;
    let mut script = Script::new();
    script.call(&["rows"], &[Input::Literal(cbor::encode(&Value::Int(3)).into())]);
    let run = hub.world.submit(script).await;
    let row = |city: &str| Value::Map(vec![(Value::Text("city".into()), Value::Text(city.into()))]);
    hub.world.lease_and_report("rows", result(&Value::List(vec![row("Kiel"), row("=1+1")]))).await;
    let job = hub.world.store.jobs(run, bue_model::wire::JobQuery { limit: 1, ..Default::default() }).await;
    let job = job.expect("jobs").expect("a page").jobs[0].id;
    let csv = hub.get(&format!("/runs/{run}/results.csv")).await;
    assert_eq!(csv.body, "call,city\r\n1,Kiel\r\n1,'=1+1\r\n");
    assert!(
        csv.head.contains(&format!("content-disposition: attachment; filename=\"results-{run}.csv\"")),
        "{}",
        csv.head
    );
    for (path, part) in [
        (format!("/runs/{run}/results.json"), "\"value\":[{\"city\":\"Kiel\"}"),
        (format!("/jobs/{job}/result.json"), "\"value\":[{\"city\":\"Kiel\"}"),
        (format!("/jobs/{job}/inputs.json"), "\"inputs\":[3]"),
    ] {
        let answer = hub.get(&path).await;
        assert!(answer.status == 200 && answer.body.contains(part), "{path}: {}", answer.body);
        assert!(answer.head.contains("content-disposition: attachment"), "{}", answer.head);
    }
}

#[tokio::test]
async fn a_hub_without_a_dashboard_serves_the_api_only() {
    let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
    let address = spawn_hub(Hub::new(Arc::new(store)).without_dashboard()).await;
    for path in ["/", "/runs", "/login", "/assets/x"] {
        let answer = raw_request_with(&address, "GET", path, &[("accept", "text/html")], b"").await;
        assert!(answer.status == 404 && answer.body.contains("no_such_route"), "{path}: {}", answer.body);
    }
    let code = raw_request_with(&address, "POST", "/v1/web-codes", &[], b"").await;
    assert!(code.status == 404 && code.body.contains("--no-web"), "{}", code.body);
    assert_eq!(raw_request_with(&address, "GET", "/v1/runs", &[], b"").await.status, 200);
}

/// Any query for any page is answered, and never with an error of the hub.
#[test]
fn no_query_makes_the_hub_fail() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (hub, run, job) = runtime.block_on(async {
        let mut hub = WebHub::open().await;
        let (run, job) = hub.failed_run().await;
        hub.world.store.publish(Timestamp(NOW), "p".to_owned(), publication()).await.expect("published");
        let spec = r#"{"pipeline": "p", "params": {"day": "2026-11-01"}, "every": "24h"}"#;
        let update = ScheduleUpdate::one("p".to_owned(), ScheduleSpec::from_json(spec).expect("a schedule"));
        hub.world.store.put_schedules(hub.world.time(), update).await.expect("set");
        (hub, run, job)
    });
    let pages = dashboard_routes().into_iter().filter(|route| route.method == "GET").map(|route| {
        let id = if route.path.starts_with("/jobs") { job.to_string() } else { run.to_string() };
        route.path.replace("{id}", &id).replace("{other}", &run.to_string()).replace("{name}", "p")
    });
    let pages: Vec<String> = pages.collect();
    for path in &pages {
        let answer = runtime.block_on(hub.get(path));
        assert!(answer.status != 404 || path.starts_with("/assets"), "{path}: only what is there is worth asking");
    }
    let names = "tab|state|step|round|after|limit|name|pipeline|param|param\\.day|since|until|period|call|group|message|next|code|from|to|\
                 at|run|scope|message|confirmed|priority|values|other";
    let value = prop_oneof![
        "[ -~]{0,12}".prop_map(|text| text.replace([' ', '#', '\t'], "+")),
        "(%[0-9a-fA-F]{2}){1,4}",
        "(failed|running|results|plan|p|7|-1|0|18446744073709551615|3\\.17|1\\.2|2h|2026-11-01|9999999999999999999999|day=1|cbor)",
    ];
    let query = proptest::collection::vec((names, value), 0..4);
    // every page gets each of them
    let check = |query: Vec<(String, String)>| {
        let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for path in &pages {
            let target = format!("{path}?{}", pairs.join("&"));
            let answer = runtime.block_on(hub.get(&target));
            prop_assert!((200..500).contains(&answer.status), "{target}: {} {}", answer.status, answer.body);
        }
        Ok(())
    };
    runner(40).run(&query, check).expect("every query is answered");
}
