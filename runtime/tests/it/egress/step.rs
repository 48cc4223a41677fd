//! A step's session without a guest: the test uses its port directly.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use bue_model::NetRule;
use bue_model::net::{Body, Completion, NetError, NetErrorKind, Operation, Request, Response, Ticket};
use bue_runtime::{Egress, EgressConfig, Limits, NetPolicy, NetPort, Permissions};
use bytes::Bytes;

pub(crate) struct Step {
    port: NetPort,
    last: Ticket,
    arrived: HashMap<Ticket, Completion>,
}

pub(crate) fn rules(texts: &[&str]) -> Vec<NetRule> {
    texts.iter().map(|text| text.parse().expect("a rule")).collect()
}

pub(crate) fn permissions(texts: &[&str]) -> Permissions {
    let mut permissions = Permissions::default();
    permissions.net = rules(texts);
    permissions
}

pub(crate) fn egress(texts: &[&str]) -> Egress {
    let config = EgressConfig { allowed: NetPolicy::Rules(rules(texts)), ..EgressConfig::default() };
    Egress::new(config, None::<&Path>).expect("no file to read")
}

/// A request without headers or a body.
pub(crate) fn get(origin: &str, target: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        origin: origin.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: Body::None,
        connect_timeout_ms: Some(5_000),
        read_timeout_ms: Some(10_000),
    }
}

pub(crate) fn post(origin: &str, target: &str, body: Body) -> Request {
    Request { method: "POST".to_owned(), body, ..get(origin, target) }
}

pub(crate) fn header(name: &str, value: &str) -> (String, Bytes) {
    (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

impl Step {
    /// A step that may reach a server: both sides have the rule.
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self::limited(server, &Limits::default())
    }

    pub(crate) fn limited(server: SocketAddr, limits: &Limits) -> Self {
        let rule = server.to_string();
        Self::new(egress(&[&rule]).port(&permissions(&[&rule]), limits))
    }

    pub(crate) fn new(port: NetPort) -> Self {
        Self { port, last: 0, arrived: HashMap::new() }
    }

    pub(crate) fn start(&mut self, operation: Operation) -> Ticket {
        self.last += 1;
        self.port.start(self.last, operation);
        self.last
    }

    pub(crate) fn close(&self, exchange: Ticket) {
        self.port.close(exchange);
    }

    pub(crate) async fn wait(&mut self, ticket: Ticket) -> Completion {
        loop {
            if let Some(completion) = self.arrived.remove(&ticket) {
                return completion;
            }
            let (arrived, completion) = self.port.next().await.expect("an open port");
            self.arrived.insert(arrived, completion);
        }
    }

    pub(crate) async fn complete(&mut self, operation: Operation) -> Completion {
        let ticket = self.start(operation);
        self.wait(ticket).await
    }

    pub(crate) async fn response(&mut self, request: Request) -> (Ticket, Response) {
        let ticket = self.start(Operation::Request(request));
        match self.wait(ticket).await {
            Completion::Response(response) => (ticket, response),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn failure(&mut self, request: Request) -> NetError {
        match self.complete(Operation::Request(request)).await {
            Completion::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn read(&mut self, exchange: Ticket) -> Result<(Bytes, bool), NetError> {
        match self.complete(Operation::Read { exchange, max: 64 * 1024, timeout_ms: Some(5_000) }).await {
            Completion::Data { bytes, last } => Ok((bytes, last)),
            Completion::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// A response and its whole body.
    pub(crate) async fn whole(&mut self, request: Request) -> (Response, Vec<u8>) {
        let (exchange, response) = self.response(request).await;
        let mut body = response.body.to_vec();
        let mut last = response.last;
        while !last {
            let (bytes, end) = self.read(exchange).await.expect("a body");
            body.extend_from_slice(&bytes);
            last = end;
        }
        (response, body)
    }

    pub(crate) async fn kind(&mut self, request: Request) -> NetErrorKind {
        self.failure(request).await.kind
    }
}
