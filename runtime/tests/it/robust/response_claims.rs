//! What must hold for whatever a server sends to a step.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bue_model::NetRule;
use bue_model::net::{Body, Completion, NetErrorKind, Operation, Request, Ticket};
use bue_runtime::{Egress, EgressConfig, Limits, NetPolicy, NetPort, Permissions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Bytes of responses that the step may receive.
const MAX_RECEIVED: u64 = 100_000;
/// Whoever waits longer than this waits forever.
const DEADLINE: Duration = Duration::from_secs(60);

/// A request ends in a response within the limits or in an error of the server, whatever the server sends: each operation ends
/// exactly once. Returns whether the response was complete.
pub(crate) async fn check_response(bytes: &[u8]) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = listener.local_addr().expect("an address");
    let sent = bytes.to_vec();
    let sender = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let sent = sent.clone();
            connections.spawn(async move {
                // the client may close the connection at any time
                let _ = send(stream, &sent).await;
            });
        }
    });
    let exchange = tokio::time::timeout(DEADLINE, exchange(server)).await;
    sender.abort();
    exchange.expect("the exchange ends")
}

/// Reads the head of a request, sends the bytes in two pieces, and closes the connection.
async fn send(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let (first, second) = bytes.split_at(bytes.len() / 2);
    stream.write_all(first).await?;
    tokio::task::yield_now().await;
    stream.write_all(second).await?;
    stream.shutdown().await?;
    // a connection that is closed with unread bytes is reset, and the response may be lost
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn exchange(server: SocketAddr) -> bool {
    let mut step = Step::to(server);
    let request = Request {
        method: "GET".to_owned(),
        origin: format!("http://{server}"),
        target: "/".to_owned(),
        headers: Vec::new(),
        body: Body::None,
        connect_timeout_ms: Some(30_000),
        read_timeout_ms: Some(30_000),
    };
    let exchange = step.start(Operation::Request(request));
    let (mut received, mut last) = match step.wait(exchange).await {
        Completion::Response(response) => {
            let bytes: usize = response.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(bytes as u64 <= step.limits.net_header_bytes, "{bytes} bytes of headers");
            assert!(response.headers.len() <= step.limits.net_headers as usize, "{response:?}");
            assert!(!(100..200).contains(&response.status), "{response:?}");
            (response.body.len() as u64, response.last)
        }
        failed => return check_failure(failed),
    };
    while !last {
        let read = step.start(Operation::Read { exchange, max: 1_000, timeout_ms: Some(30_000) });
        let Completion::Data { bytes, last: is_last } = step.wait(read).await else { return false };
        assert!(bytes.len() <= 1_000 && (is_last || !bytes.is_empty()), "{} bytes, {is_last}", bytes.len());
        (received, last) = (received + bytes.len() as u64, is_last);
    }
    assert!(received <= MAX_RECEIVED, "{received} bytes");
    step.assert_silent();
    true
}

fn check_failure(completion: Completion) -> bool {
    let Completion::Failed(error) = completion else { panic!("{completion:?}") };
    assert!(!matches!(error.kind, NetErrorKind::Denied | NetErrorKind::Name | NetErrorKind::BadRequest), "{error:?}");
    assert!(!error.message.contains(char::is_control), "{error:?}");
    false
}

/// A step's session without a guest.
struct Step {
    port: NetPort,
    limits: Limits,
    last: Ticket,
    arrived: HashMap<Ticket, Completion>,
}

impl Step {
    fn to(server: SocketAddr) -> Self {
        let rule: NetRule = server.to_string().parse().expect("a rule");
        let config = EgressConfig { allowed: NetPolicy::Rules(vec![rule.clone()]), ..EgressConfig::default() };
        let egress = Egress::new(config, None::<&Path>).expect("no file to read");
        let (mut permissions, mut limits) = (Permissions::default(), Limits::default());
        permissions.net = vec![rule];
        limits.net_down_bytes = MAX_RECEIVED;
        let port = egress.port(&permissions, &limits);
        Self { port, limits, last: 0, arrived: HashMap::new() }
    }

    fn start(&mut self, operation: Operation) -> Ticket {
        self.last += 1;
        self.port.start(self.last, operation);
        self.last
    }

    async fn wait(&mut self, ticket: Ticket) -> Completion {
        loop {
            if let Some(completion) = self.arrived.remove(&ticket) {
                return completion;
            }
            let (arrived, completion) = self.port.next().await.expect("an open port");
            assert!(self.arrived.insert(arrived, completion).is_none(), "operation {arrived} ended twice");
        }
    }

    /// Everything that was started has ended, once.
    fn assert_silent(&mut self) {
        let next = futures_util::FutureExt::now_or_never(self.port.next());
        assert!(!matches!(next, Some(Some(_))) && self.arrived.is_empty(), "{next:?}");
    }
}
