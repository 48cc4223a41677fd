//! Addresses that no rule names: in every spelling, by redirect, by a name that resolves differently later. A listener counts
//! connections.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bue_model::net::NetErrorKind;
use bue_runtime::{BoxFuture, Egress, EgressConfig, Limits, NetPolicy, NetPort, Refusals, Resolve};
use tokio::net::TcpListener;

use super::server::serve;
use super::step::{Step, egress, get, permissions, rules};

/// Hosts of this machine or network, in all spellings that a parser might accept, separated by `|`.
const SPELLINGS: &str = "127.0.0.1|127.1|127.0.1|127.0.0.01|0177.0.0.1|0177.1|0x7f.0.0.1|0x7f.1|0x7f000001|2130706433|\
    017700000001|127.0.0.2|127.255.255.254|127.0.0.1.|127.1.|0x7F.0x0.0x0.0x1|0X7f.1|00000177.0.0.1|127.0.0.0x1|127.0.0.00001|\
    １２７.0.0.1|127。0。0。1|127．0．0．1|127｡0｡0｡1|①②⑦.0.0.1|1２7.0.0.1|0|0.0.0.0|0.0|0x0|00|0.0.0.0.|0.1.2.3|\
    localhost|LOCALHOST|localhost.|LocalHost|ｌocalhost|ⓛocalhost|loc\u{ad}alhost|%6cocalhost|%31%32%37.0.0.1|a.localhost|\
    [::1]|[0:0:0:0:0:0:0:1]|[0000:0000:0000:0000:0000:0000:0000:0001]|[::0001]|[::0.0.0.1]|[0::1]|[::]|[0:0:0:0:0:0:0:0]|[::0]|\
    [::ffff:127.0.0.1]|[::ffff:7f00:1]|[::FFFF:7F00:0001]|[0:0:0:0:0:ffff:127.0.0.1]|[::ffff:0:127.0.0.1]|[::127.0.0.1]|\
    [::7f00:1]|[64:ff9b::127.0.0.1]|[64:ff9b::7f00:1]|[64:ff9b:1::7f00:1]|[2002:7f00:1::]|[2002:7f00:0001::1]|\
    [2001:0:7f00:1::]|[2001::1]|[::ffff:0.0.0.0]|[::ffff:10.0.0.1]|[::ffff:169.254.169.254]|[::ffff:a9fe:a9fe]|\
    [::ffff:192.168.0.1]|[::ffff:172.16.0.1]|[::ffff:100.64.0.1]|[64:ff9b::169.254.169.254]|[64:ff9b::a9fe:a9fe]|\
    [64:ff9b::10.0.0.1]|[2002:a9fe:a9fe::]|[2002:a00:1::]|[2002:c0a8:1::]|169.254.169.254|169.254.169.254.|2852039166|\
    0xa9fea9fe|025177524776|0xa9.0xfe.0xa9.0xfe|0251.0376.0251.0376|169.254.43518|169.16689662|１６９.254.169.254|\
    169。254。169。254|169.254.170.2|169.254.0.1|100.100.100.200|168.63.129.16|192.0.0.192|[fd00:ec2::254]|[fe80::a9fe:a9fe]|\
    10.0.0.1|10.255.255.255|10.1|012.0.0.1|0xa.0.0.1|0xa000001|167772161|10.0.0.1.|172.16.0.1|172.31.255.255|2886729729|\
    0xac.16.0.1|0254.020.0.1|192.168.0.1|192.168.1|192.168.257|3232235521|0xc0a80001|0300.0250.0.1|192.168.255.255|100.64.0.1|\
    100.127.255.255|1681915905|198.18.0.1|198.19.255.255|192.0.2.1|198.51.100.1|203.0.113.1|192.88.99.1|224.0.0.1|224.0.0.251|\
    239.255.255.250|240.0.0.1|254.255.255.255|255.255.255.255|4294967295|0xffffffff|037777777777|[fc00::1]|[fd00::1]|\
    [fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]|[fe80::1]|[febf::1]|[fec0::1]|[feff::1]|[ff01::1]|[ff02::1]|[ff05::2]|[ff0e::1]|\
    [100::1]|[2001:db8::1]|[2001:10::1]|[2001:20::1]|[3fff::1]|[5f00::1]|[4000::1]|[8000::1]|[e000::1]|[::2]|[::ffff]|[0:1::1]|\
    [::ffff:255.255.255.255]|[::ffff:224.0.0.1]|[fe80::1%25eth0]|[fe80::1%eth0]|[::1%25lo]|user@127.0.0.1|\
    example.com@127.0.0.1|127.0.0.1\\@example.com|127.0.0.1#@example.com|example.com:80@127.0.0.1|127.0.0.1%00.example.com|\
    127.0.0.1%2f.example.com|1.1.1.1&@127.0.0.1|127.0.0.1\t|\t127.0.0.1| 127.0.0.1|12\n7.0.0.1|127.0.0.1\r\n|127.1.1.1:80@127.0.0.1";

/// Rules that allow every name and every public address.
const BROAD: [&str; 6] = ["*.com", "*.example", "rebind.example", "0.0.0.0/0", "::/0", "128.0.0.0/1"];

/// A listener on all addresses of this machine, and the number of its connections.
pub(crate) async fn trap() -> (u16, Arc<AtomicUsize>) {
    let listener = match TcpListener::bind("[::]:0").await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("0.0.0.0:0").await.expect("a port"),
    };
    let port = listener.local_addr().expect("an address").port();
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, came)
}

fn spellings() -> Vec<&'static str> {
    SPELLINGS.split('|').collect()
}

/// Returns the next addresses of its list, and the last ones from then on.
#[derive(Debug)]
pub(crate) struct Changing(Vec<Vec<IpAddr>>, AtomicUsize);

impl Resolve for Changing {
    fn resolve(&self, _: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        let turn = self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1);
        let found = self.0[turn].clone();
        Box::pin(async move { Ok(found) })
    }
}

pub(crate) fn changing(turns: &[&[&str]]) -> Arc<Changing> {
    let turn = |texts: &&[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect();
    Arc::new(Changing(turns.iter().map(turn).collect(), AtomicUsize::new(0)))
}

fn port_with(resolver: Arc<Changing>, allowed: NetPolicy, requested: &[&str]) -> NetPort {
    let config = EgressConfig { allowed, ..EgressConfig::default() };
    let egress = Egress::with_resolver(config, None::<&Path>, resolver).expect("no file to read");
    egress.port(&permissions(requested), &Limits::default())
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_notation() {
    assert!(spellings().len() >= 150, "{}", spellings().len());
    let (port, came) = trap().await;
    let mut step = Step::new(egress(&BROAD).port(&permissions(&BROAD), &Limits::default()));
    for host in spellings() {
        for scheme in ["http", "https"] {
            let origin = format!("{scheme}://{host}:{port}");
            let error = step.failure(get(&origin, "/")).await;
            assert!(matches!(error.kind, NetErrorKind::Denied | NetErrorKind::BadRequest), "{origin}: {error:?}");
        }
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

/// A library follows a redirect with another request, which is checked like the first.
#[tokio::test]
async fn no_redirect_leads_there_either() {
    let (port, came) = trap().await;
    let (server, _) = serve().await;
    let rule = server.to_string();
    let all: Vec<&str> = BROAD.iter().copied().chain([rule.as_str()]).collect();
    let mut step = Step::new(egress(&all).port(&permissions(&all), &Limits::default()));
    for host in spellings() {
        let (response, _) = step.whole(get(&format!("http://{server}"), "/redirect")).await;
        assert_eq!(response.status, 302);
        let error = step.failure(get(&format!("http://{host}:{port}"), "/")).await;
        assert!(matches!(error.kind, NetErrorKind::Denied | NetErrorKind::BadRequest), "{host}: {error:?}");
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn dns_rebinding_is_refused() {
    let (port, came) = trap().await;
    // the public address refuses the connection or answers something else: only the address that is never reached counts
    let turns: [&[&str]; 3] =
        [&["192.0.2.1"], &["127.0.0.1"], &["::ffff:127.0.0.1", "::1", "10.0.0.1", "64:ff9b::7f00:1"]];
    for allowed in [NetPolicy::Rules(rules(&BROAD)), NetPolicy::Public(Vec::new()), NetPolicy::Public(rules(&BROAD))] {
        let mut step = Step::new(port_with(changing(&turns), allowed, &BROAD));
        for _ in 0..6 {
            let error = step.failure(get(&format!("http://rebind.example:{port}"), "/")).await;
            assert_eq!(error.kind, NetErrorKind::Denied, "{error:?}");
            assert!(error.message.contains("named by its address"), "{error:?}");
        }
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn every_address_of_a_name_is_checked() {
    let (server, seen) = serve().await;
    let port = server.port();
    let requested = ["two.example".to_owned(), format!("127.0.0.1:{port}")];
    let requested: Vec<&str> = requested.iter().map(String::as_str).collect();
    let resolver = changing(&[&["10.0.0.1", "169.254.169.254", "127.0.0.1"]]);
    let mut step = Step::new(port_with(resolver, NetPolicy::Public(rules(&["127.0.0.1"])), &requested));
    let (response, _) = step.whole(get(&format!("http://two.example:{port}"), "/status/200")).await;
    assert_eq!((response.status, seen.connections()), (200, 1), "the one that was named is taken");
}

#[tokio::test]
async fn both_sides_must_allow_it() {
    let (server, seen) = serve().await;
    let (rule, origin) = (server.to_string(), format!("http://{server}"));
    let cases: [(&[&str], &[&str], &[&str]); 4] = [
        (&[], &[], &["!allow net 127.0.0.1", "--allow-net 127.0.0.1"]),
        (&[&rule], &[], &["--allow-net 127.0.0.1"]),
        (&[], &[&rule], &["!allow net 127.0.0.1"]),
        (&["localhost"], &["127.0.0.1:1"], &["!allow net 127.0.0.1", "--allow-net 127.0.0.1"]),
    ];
    for (requested, allowed, words) in cases {
        let mut step = Step::new(egress(allowed).port(&permissions(requested), &Limits::default()));
        let error = step.failure(get(&origin, "/")).await;
        assert_eq!(error.kind, NetErrorKind::Denied);
        for word in words {
            assert!(error.message.contains(word), "{word} is not in {}", error.message);
        }
    }
    assert_eq!(seen.connections(), 0);
}

#[tokio::test]
async fn a_rule_for_one_method_allows_only_that_method() {
    let (server, _) = serve().await;
    let rule = format!("GET|HEAD {server}");
    let mut step = Step::new(egress(&[&server.to_string()]).port(&permissions(&[&rule]), &Limits::default()));
    let request = get(&format!("http://{server}"), "/status/200");
    assert_eq!(step.whole(request.clone()).await.0.status, 200);
    let post = bue_model::net::Request { method: "POST".to_owned(), ..request };
    assert_eq!(step.kind(post).await, NetErrorKind::Denied, "although a connection is there");
}

#[tokio::test]
async fn a_connection_is_not_reused_under_other_rules() {
    let (server, seen) = serve().await;
    let (exact, network) = (server.to_string(), "127.0.0.0/8".to_owned());
    let egress = egress(&[&network]);
    for requested in [&exact, &network, &exact, &network] {
        let mut step = Step::new(egress.port(&permissions(&[requested]), &Limits::default()));
        step.whole(get(&format!("http://{server}"), "/status/200")).await;
    }
    assert_eq!(seen.connections(), 2);
}

#[tokio::test]
async fn hub_and_bucket_need_a_rule_with_address_and_port() {
    let (server, seen) = serve().await;
    let request = |host: &str| get(&format!("http://{host}:{}", server.port()), "/status/200");
    let step = |rule: &str, own: SocketAddr| {
        let config = EgressConfig {
            allowed: NetPolicy::Rules(rules(&[rule])),
            own_servers: vec![own],
            ..EgressConfig::default()
        };
        let egress = Egress::new(config, None::<&Path>).expect("no file to read");
        Step::new(egress.port(&permissions(&[rule]), &Limits::default()))
    };
    let everywhere = SocketAddr::new("0.0.0.0".parse().expect("an address"), server.port());
    for own in [server, everywhere] {
        assert_eq!(step("127.0.0.1", own).kind(request("127.0.0.1")).await, NetErrorKind::Denied);
        assert_eq!(step("127.0.0.0/8", own).kind(request("127.0.0.1")).await, NetErrorKind::Denied);
        assert_eq!(step("localhost", own).kind(request("localhost")).await, NetErrorKind::Denied);
    }
    assert_eq!(seen.connections(), 0);
    assert_eq!(step(&server.to_string(), server).whole(request("127.0.0.1")).await.0.status, 200);
}

/// A hub that was named by one address of its machine is protected under the others.
#[tokio::test]
async fn a_server_on_this_machine_is_protected_under_all_of_its_addresses() {
    let Some(other) = address_of_this_machine() else {
        println!("this machine has loopback addresses only");
        return;
    };
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let own = SocketAddr::new("127.0.0.1".parse().expect("an address"), listener.local_addr().expect("bound").port());
    let step = |rule: &str| {
        let config = EgressConfig {
            allowed: NetPolicy::Rules(rules(&[rule])),
            own_servers: vec![own],
            ..EgressConfig::default()
        };
        let egress = Egress::new(config, None::<&Path>).expect("no file to read");
        Step::new(egress.port(&permissions(&[rule]), &Limits::default()))
    };
    let request = get(&format!("http://{other}:{}", own.port()), "/");
    assert_eq!(step(&other.to_string()).kind(request).await, NetErrorKind::Denied);
}

/// Returns the address from which this machine would send to others.
fn address_of_this_machine() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // a datagram socket sends nothing to connect; the address is one for documentation
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[tokio::test]
async fn localhost_may_be_named_by_its_name() {
    let (server, _) = serve().await;
    let rule = format!("localhost:{}", server.port());
    let mut step = Step::new(egress(&[&rule]).port(&permissions(&[&rule]), &Limits::default()));
    let (response, _) = step.whole(get(&format!("http://LocalHost.:{}", server.port()), "/status/200")).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn refusals_name_the_missing_rule() {
    let refusals = Refusals::default();
    let config = EgressConfig { refusals: refusals.clone(), ..EgressConfig::default() };
    let egress = Egress::new(config, None::<&Path>).expect("no file to read");
    let mut step = Step::new(egress.port(&permissions(&["a.example"]), &Limits::default()));
    for origin in ["https://a.example", "http://b.example:8080", "http://b.example:8080"] {
        let _ = tokio::time::timeout(Duration::from_secs(5), step.failure(get(origin, "/"))).await.expect("at once");
    }
    let (script, worker) = refusals.lines();
    assert_eq!(script, ["!allow net b.example:8080"]);
    assert_eq!(worker, ["--allow-net a.example", "--allow-net b.example:8080"]);
}
