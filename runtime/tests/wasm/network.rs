//! Network access of components, through their parent: servers, secrets, blobs.

use std::sync::Arc;

use bue_model::{FailureKind, Value};
use bue_runtime::{EgressConfig, Hosts, Secret, Task};

use super::{call, compiled, guests, lines, task, text};
use crate::common::{failure, value};
use crate::memory_bucket::MemoryBucket;
use crate::{Response, Runtime, Test, allow_all, finish, run, start_server};

pub(super) const TESTS: &[Test] = &[
    ("wasm_a_component_reaches_a_server_through_its_parent", a_component_reaches_a_server_through_its_parent),
    ("wasm_denied_access_is_refused_with_the_missing_rule", denied_access_is_refused_with_the_missing_rule),
    ("wasm_blobs_are_stored_and_read", blobs_are_stored_and_read),
];

const CANARY: &str = "canary-77aa";

fn secrets(readable: bool) -> EgressConfig {
    // the server of these tests has no certificate
    let secret = Secret { value: CANARY.to_owned(), readable, insecure: true, ..Secret::default() };
    EgressConfig { secrets: [("KEY".to_owned(), secret)].into(), ..allow_all() }
}

/// Allows a task a host and the secret.
fn with_permissions(task: Task, rule: &str) -> Task {
    let mut task = task;
    task.permissions.net = vec![rule.parse().expect("a rule")];
    task.permissions.secrets = vec!["KEY".to_owned()];
    task
}

fn a_component_reaches_a_server_through_its_parent(runtime: &Runtime) {
    runtime.tokio.block_on(async {
        let server = start_server(Response::Echo).await.address;
        let hosts = Hosts::start(runtime.network_config(secrets(true))).await.expect("hosts");
        let step = compiled(&hosts, guests::component()).await;
        let url = |path: &str| text(&format!("http://{server}{path}"));
        let finished = run(&hosts, with_permissions(task(&step, "get", &[url("/a?b=c")]), &server.to_string())).await;
        let Value::List(pair) = value(&finished) else { panic!("a pair") };
        assert!(
            matches!(&pair[..], [Value::Int(200), Value::Text(head)] if head.starts_with("GET /a?b=c HTTP/1.1\r\n"))
        );
        // the server responds to the head, before it reads the body
        let posted = with_permissions(task(&step, "post", &[url("/up"), Value::Int(10)]), &server.to_string());
        let Value::Text(head) = value(&run(&hosts, posted).await) else { panic!("a text") };
        let expected =
            ["POST /up", "content-length: 10\r\n", &format!("x-key: {CANARY}\r\n"), &format!("host: {server}\r\n")];
        assert!(expected.iter().all(|part| head.contains(part)), "{head}");
        let read = with_permissions(task(&step, "secret", &[text("KEY")]), "a.example");
        assert_eq!(value(&run(&hosts, read).await), text(CANARY));
        hosts.shutdown().await;
    });
}

fn denied_access_is_refused_with_the_missing_rule(runtime: &Runtime) {
    runtime.tokio.block_on(async {
        let hosts = Hosts::start(runtime.network_config(secrets(false))).await.expect("hosts");
        let step = compiled(&hosts, guests::component()).await;
        let finished = call(&hosts, &step, "get", &[text("http://10.0.0.1/")]).await;
        let refused = failure(&finished);
        assert!(
            refused.kind == FailureKind::Raised && refused.message.contains("`!allow net 10.0.0.1:80`"),
            "{refused:?}"
        );
        assert!(lines(&finished).iter().any(|line| line.starts_with("bue: refused: ")), "{finished:?}");
        for task in [
            task(&step, "secret", &[text("KEY")]),
            with_permissions(task(&step, "secret", &[text("KEY")]), "a.example"),
        ] {
            let finished = run(&hosts, task).await;
            let output = format!("{finished:?} {}", String::from_utf8_lossy(&finished.log));
            assert!(failure(&finished).message.contains("KEY") && !output.contains(CANARY), "{output}");
        }
        hosts.shutdown().await;
    });
}

fn blobs_are_stored_and_read(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, guests::component()).await;
        let refused = failure(&call(&hosts, &step, "stored", &[Value::Int(3)]).await);
        assert!(refused.message.contains("no bucket"), "{refused:?}");
        let bucket = Arc::new(MemoryBucket::default());
        let call_with_bucket = async |function: &str, inputs: &[Value]| {
            let task = task(&step, function, inputs);
            finish(&mut hosts.run_with((task, 1), bucket.clone(), ()).await.expect("open")).await.expect("alive")
        };
        let size = Value::Int(3 << 20);
        let name = value(&call_with_bucket("stored", core::slice::from_ref(&size)).await);
        assert_eq!(value(&call_with_bucket("length", &[name]).await), size);
        for (name, words) in [("x", "64 hexadecimal digits"), (&"0".repeat(64), "no such blob")] {
            let missing = failure(&call_with_bucket("length", &[text(name)]).await);
            assert!(missing.message.contains(words), "{missing:?}");
        }
        let large = failure(&call_with_bucket("stored", &[Value::Int(65 << 20)]).await);
        assert!(large.message.contains("64 MiB"), "{large:?}");
        hosts
    });
}
