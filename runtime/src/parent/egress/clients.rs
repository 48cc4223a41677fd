//! Pooled HTTP clients, one per gate: a connection that was made under one set of rules is reused only under the same set.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bue_model::net::{NetError, TlsSettings};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::parent::egress::budget::NetBudget;
use crate::parent::egress::connect::{Connector, Dialer};
use crate::parent::egress::gate::{Gate, NetPolicy};
use crate::parent::egress::refusals::Refusals;
use crate::parent::egress::secrets::Secret;
use crate::parent::egress::tls::{Trust, client_config, with_authorities};
use crate::parent::egress::upload::Upload;
use crate::parent::simulated_time::SimulatedTime;

/// Clients that are kept at most; the least recently used one is dropped.
const MAX_CLIENTS: usize = 64;
/// Idle connections to one host that are kept at most.
const MAX_IDLE_PER_HOST: usize = 256;
/// How long an idle connection is kept. Idle connections take places of the worker, and a step waits for a connection for up to
/// 30 s, so it must see them end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that an HTTP/1 connection buffers, and therefore the largest head of a response.
const HTTP1_BUFFER_BYTES: usize = 128 * 1024;
/// Headers of a response at most.
const HTTP1_MAX_HEADERS: usize = 512;
/// Bytes of a response over HTTP/2 that may arrive before the step reads them: as many as come along with its head.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;
/// The same for a connection, which steps share: a thousand responses that no step reads do not block the others.
const HTTP2_CONNECTION_WINDOW: u32 = 1_024 * HTTP2_STREAM_WINDOW;
/// Bytes of a response's headers over HTTP/2 at most.
const HTTP2_MAX_HEADER_BYTES: u32 = 128 * 1024;

/// A client whose connections are pooled.
pub(crate) type Client = legacy::Client<Connector, Upload>;

/// What all steps of a worker share.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) allowed: NetPolicy,
    pub(crate) allowed_tcp: NetPolicy,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) refusals: Refusals,
    pub(crate) answering_server: Option<SocketAddr>,
    pub(crate) simulated_time: Option<SimulatedTime>,
    pub(crate) trust: Trust,
    /// Created when the first step needs it: reading the machine's certificates takes a while.
    pub(crate) roots: OnceLock<Arc<RootCertStore>>,
    pub(crate) cache: Mutex<ClientCache>,
    pub(crate) budget: NetBudget,
}

/// Clients, each with the number of its last use.
#[derive(Debug, Default)]
pub(crate) struct ClientCache {
    clients: HashMap<Gate, (Client, u64)>,
    uses: u64,
}

impl Clients {
    pub(crate) const fn allowed(&self) -> &NetPolicy {
        &self.allowed
    }

    pub(crate) const fn secrets(&self) -> &BTreeMap<String, Secret> {
        &self.secrets
    }

    pub(crate) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Returns the client of a gate. Dropping a client from the cache does not end its requests.
    pub(crate) fn client(&self, gate: Gate) -> Result<Client, NetError> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.uses += 1;
        let now = cache.uses;
        if let Some((client, used)) = cache.clients.get_mut(&gate) {
            *used = now;
            return Ok(client.clone());
        }
        let client = self.make(&gate)?;
        if cache.clients.len() >= MAX_CLIENTS {
            let least_recent = cache.clients.iter().min_by_key(|(_, (_, used))| *used).map(|(gate, _)| gate.clone());
            least_recent.map(|least_recent| cache.clients.remove(&least_recent));
        }
        cache.clients.insert(gate, (client.clone(), now));
        Ok(client)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(self.roots.get_or_init(|| Arc::new(self.trust.roots())))
    }

    /// Returns how to use TLS on a connection of a step.
    pub(crate) fn socket_tls(&self, settings: TlsSettings) -> Result<ClientConfig, NetError> {
        let TlsSettings { authorities, default_authorities, protocols, .. } = settings;
        let roots = match (authorities.is_empty(), default_authorities) {
            (true, _) => self.roots(),
            (false, true) => with_authorities((*self.roots()).clone(), &authorities)?,
            (false, false) => with_authorities(RootCertStore::empty(), &authorities)?,
        };
        let mut config = client_config(roots)?;
        config.alpn_protocols = protocols.into_iter().map(String::into_bytes).collect();
        Ok(config)
    }

    fn make(&self, gate: &Gate) -> Result<Client, NetError> {
        let tls = client_config(self.roots())?;
        let connector = Connector::new(Arc::clone(&self.dialer), Arc::new(gate.clone()), tls);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        builder.pool_max_idle_per_host(MAX_IDLE_PER_HOST).pool_idle_timeout(IDLE_TIMEOUT);
        builder.http1_max_buf_size(HTTP1_BUFFER_BYTES).http1_max_headers(HTTP1_MAX_HEADERS);
        builder
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW);
        builder.http2_max_header_list_size(HTTP2_MAX_HEADER_BYTES);
        Ok(builder.build(connector))
    }
}
