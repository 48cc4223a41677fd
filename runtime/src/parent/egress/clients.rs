//! Pooled clients, one for each gate: a connection that was made under one set of rules is used under that set alone.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bue_model::net::{NetError, NetErrorKind};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::parent::egress::connect::{Connector, Dialler};
use crate::parent::egress::gate::{Allowed, Gate};
use crate::parent::egress::refusals::Refusals;
use crate::parent::egress::secrets::Secret;
use crate::parent::egress::tls::Trust;
use crate::parent::egress::upload::Upload;

/// Gates whose connections are kept, the ones used last.
const MOST_GATES: usize = 64;
/// Connections to one host that are kept while nobody uses them, and how long.
const IDLE: (usize, Duration) = (256, Duration::from_secs(60));
/// Bytes of what came over an HTTP/1 connection and was not taken, and with that of a response's head.
const H1_BUFFER: usize = 128 * 1024;
/// Headers of a response that are read at all.
const H1_HEADERS: usize = 512;
/// Bytes of a response over HTTP/2 that may come before the step reads them.
const H2_STREAM: u32 = 256 * 1024;
/// The same for a connection, which steps share: so many that those who do not read never hold up the others.
const H2_CONNECTION: u32 = 0x7fff_ffff;
/// Bytes of a response's headers over HTTP/2.
const H2_HEADERS: u32 = 128 * 1024;

/// A client whose connections are pooled.
pub(crate) type Client = legacy::Client<Connector, Upload>;

/// What all steps of a worker share.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) dialler: Arc<Dialler>,
    pub(crate) allowed: Allowed,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) refusals: Refusals,
    pub(crate) trust: Trust,
    /// Made when the first step needs it: reading whom a machine trusts takes a while.
    pub(crate) tls: OnceLock<Result<rustls::ClientConfig, String>>,
    pub(crate) known: Mutex<Known>,
}

/// Clients and when they were last used.
#[derive(Debug, Default)]
pub(crate) struct Known {
    clients: HashMap<Gate, (Client, u64)>,
    uses: u64,
}

impl Clients {
    pub(crate) const fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    pub(crate) const fn secrets(&self) -> &BTreeMap<String, Secret> {
        &self.secrets
    }

    pub(crate) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The client of a gate. What it has under way goes on when it is forgotten.
    pub(crate) fn client(&self, gate: Gate) -> Result<Client, NetError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.uses += 1;
        let now = known.uses;
        if let Some((client, used)) = known.clients.get_mut(&gate) {
            *used = now;
            return Ok(client.clone());
        }
        let client = self.make(&gate)?;
        if known.clients.len() >= MOST_GATES {
            let oldest = known.clients.iter().min_by_key(|(_, (_, used))| *used).map(|(gate, _)| gate.clone());
            oldest.map(|oldest| known.clients.remove(&oldest));
        }
        known.clients.insert(gate, (client.clone(), now));
        Ok(client)
    }

    fn make(&self, gate: &Gate) -> Result<Client, NetError> {
        let tls = self.tls.get_or_init(|| self.trust.config()).clone();
        let tls = tls.map_err(|why| NetError::new(NetErrorKind::Tls, why))?;
        let connector = Connector::new(Arc::clone(&self.dialler), Arc::new(gate.clone()), tls);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        builder.pool_max_idle_per_host(IDLE.0).pool_idle_timeout(IDLE.1);
        builder.http1_max_buf_size(H1_BUFFER).http1_max_headers(H1_HEADERS);
        builder.http2_initial_stream_window_size(H2_STREAM).http2_initial_connection_window_size(H2_CONNECTION);
        builder.http2_max_header_list_size(H2_HEADERS);
        Ok(builder.build(connector))
    }
}
