//! What the steps of a worker may have in flight together.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;

use bue_model::net::Operation;
use bue_runtime::{Egress, EgressConfig, Limits, NetPolicy};
use bue_test_support::wait::{wait_until_async, within_deadline};

use super::server::serve;
use super::step::{Step, get, permissions, rules};

/// The network of a worker whose steps have this many exchanges in flight, and as many connections.
fn egress(servers: &[SocketAddr], max_exchanges: usize) -> (Egress, Vec<String>) {
    let texts: Vec<String> = servers.iter().map(SocketAddr::to_string).collect();
    let allowed = NetPolicy::Rules(rules(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    let config = EgressConfig { allowed, max_exchanges: Some(max_exchanges), ..EgressConfig::default() };
    (Egress::new(config, None::<&Path>).expect("no file to read"), texts)
}

fn step(egress: &Egress, servers: &[String]) -> Step {
    let texts: Vec<&str> = servers.iter().map(String::as_str).collect();
    Step::new(egress.port(&permissions(&texts), &Limits::default()))
}

#[tokio::test]
async fn a_step_that_reads_nothing_leaves_places_to_the_others() {
    let (server, seen) = serve().await;
    let (egress, servers) = egress(&[server], 8);
    let (mut greedy, mut other) = (step(&egress, &servers), step(&egress, &servers));
    let origin = format!("http://{server}");
    let exchanges: Vec<_> = (0..20).map(|_| greedy.start(Operation::Request(get(&origin, "/hang")))).collect();
    wait_until_async("half of the places are taken", async || seen.most.load(Ordering::SeqCst) == 4).await;
    for _ in 0..3 {
        let (response, _) = within_deadline("another step's response", other.whole(get(&origin, "/status/200"))).await;
        assert_eq!(response.status, 200);
    }
    assert_eq!(seen.most.load(Ordering::SeqCst), 5, "no more requests of the first step");
    // those that wait come next
    let before = seen.connections();
    exchanges.iter().take(4).for_each(|exchange| greedy.close(*exchange));
    wait_until_async("three more requests", async || seen.connections() >= before + 3).await;
    // a step that ends leaves everything, although some of its requests waited
    drop(greedy);
    let (response, _) = within_deadline("a response", other.whole(get(&origin, "/status/200"))).await;
    assert_eq!(response.status, 200);
}
