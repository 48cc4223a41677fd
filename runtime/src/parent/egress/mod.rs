//! The network of steps, and their way to the bucket. The parent makes their requests, because sandbox hosts have no network.
//!
//! ```text
//! Session (one per step) -- exchange.rs, a task each --> clients.rs, a pooled client for each set of rules
//!                  or socket.rs, a task each --> connect.rs, and tls.rs for TLS
//!                  or value.rs, a task each --> the bucket, which the worker provides
//!    session_state.rs: limits  request.rs: strict parsing   connect.rs: resolve, check each address, dial, TLS
//!                              gate.rs: rules of both sides address.rs: addresses with a special purpose
//!                              secrets.rs: filled in        upload.rs, download.rs: bodies, with back-pressure
//!    budget.rs: what all steps may have in flight together
//! ```
//! A response is passed to the step unchanged: it is not decompressed, and redirects are not followed. Depends on
//! [`step`](crate::step) and, of [`parent`](crate::parent), on [`fair_places`](crate::parent::fair_places),
//! [`simulated_time`](crate::parent::simulated_time) and [`bucket`](crate::parent::bucket).

pub(crate) mod address;
pub(crate) mod budget;
pub(crate) mod clients;
pub(crate) mod commands;
pub(crate) mod connect;
pub(crate) mod counted_stream;
pub(crate) mod download;
pub(crate) mod exchange;
pub(crate) mod exchange_error;
pub(crate) mod gate;
pub(crate) mod refusals;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod secrets;
pub(crate) mod session;
pub(crate) mod session_state;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod upload;
pub(crate) mod value;

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use self::budget::NetBudget;
use self::clients::Clients;
use self::connect::{Dialer, Resolve};
use self::gate::NetPolicy;
use self::refusals::Refusals;
use self::resolve::SystemResolver;
use self::secrets::Secret;
use self::session::Session;
use self::session_state::CompletionCallback;
use self::tls::{CaFileError, Trust};
use crate::parent::bucket::Bucket;
use crate::parent::simulated_time::SimulatedTime;
use crate::step::limits::Limits;
use crate::step::net_port::NetPort;
use crate::step::permissions::Permissions;

/// What a worker lets its steps reach. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct EgressConfig {
    /// The hosts that steps may reach if their script requests it.
    pub allowed: NetPolicy,
    /// The hosts and ports that steps may open TCP connections to if their script requests it.
    pub allowed_tcp: NetPolicy,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// The addresses of bue's own servers: hub, bucket, databases. Only a rule that names address and port allows them.
    pub own_servers: Vec<SocketAddr>,
    /// Records what was refused.
    pub refusals: Refusals,
    /// The exchanges (requests and TCP connections) that all steps together may have in flight, and the connections that they may have open. `None` for half of the
    /// files that this process may open. Steps beyond that wait, and each gets a share.
    pub max_exchanges: Option<usize>,
    /// Where all HTTP requests of steps go instead of to their hosts, over plain HTTP and with their address in the header
    /// `bue-url`: a server of a test. The worker's rules then do not count, those of the script do.
    pub answering_server: Option<SocketAddr>,
    /// The clock of the steps; `None` if time is real.
    pub simulated_time: Option<SimulatedTime>,
}

/// The network of a worker's steps. Clones share it.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Clients>);

impl Egress {
    /// With this machine's resolver. `ca_file`: certificates in PEM format that are trusted in addition to the machine's.
    ///
    /// # Errors
    /// A file without certificates.
    pub fn new(config: EgressConfig, ca_file: Option<&Path>) -> Result<Self, CaFileError> {
        Self::with_resolver(config, ca_file, Arc::new(SystemResolver::default()))
    }

    /// The same with another resolver.
    ///
    /// # Errors
    /// A file without certificates.
    pub fn with_resolver(
        config: EgressConfig,
        ca_file: Option<&Path>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, CaFileError> {
        let trust = ca_file.map_or_else(|| Ok(Trust::default()), Trust::read)?;
        Ok(Self::with_trust(config, trust, resolver))
    }

    /// A network that allows nothing.
    #[must_use]
    pub fn closed() -> Self {
        Self::with_trust(EgressConfig::default(), Trust::default(), Arc::new(SystemResolver::default()))
    }

    fn with_trust(config: EgressConfig, trust: Trust, resolver: Arc<dyn Resolve>) -> Self {
        let EgressConfig { allowed, allowed_tcp, secrets, own_servers, refusals, max_exchanges, .. } = config;
        let budget = NetBudget::new(max_exchanges);
        Self(Arc::new(Clients {
            dialer: Arc::new(Dialer { resolver, own_servers, budget: budget.clone() }),
            budget,
            allowed,
            allowed_tcp,
            secrets,
            refusals,
            answering_server: config.answering_server,
            simulated_time: config.simulated_time,
            trust,
            roots: OnceLock::new(),
            cache: Default::default(),
        }))
    }

    /// Returns the secrets, to keep their values out of messages.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.0.secrets.values()
    }

    /// Returns the clock of the steps, if it is simulated.
    pub(crate) fn simulated_time(&self) -> Option<&SimulatedTime> {
        self.0.simulated_time.as_ref()
    }

    /// Starts a step's session, with the bucket if it has one. `complete` receives the results of its operations.
    pub(crate) fn session(
        &self,
        job: u64,
        permissions: &Permissions,
        limits: &Limits,
        bucket: Option<Arc<dyn Bucket>>,
        complete: CompletionCallback,
    ) -> Session {
        Session::new((Arc::clone(&self.0), job), permissions, limits, bucket, complete)
    }

    /// The network for a step that runs in this process, see [`Sandbox::run_connected`](crate::sandbox::Sandbox::run_connected).
    /// Dropping the port ends its requests.
    #[must_use]
    pub fn port(&self, permissions: &Permissions, limits: &Limits) -> NetPort {
        self.port_with_bucket(permissions, limits, None)
    }

    /// The same for a step that may use named values of this bucket.
    #[must_use]
    pub fn port_with_bucket(
        &self,
        permissions: &Permissions,
        limits: &Limits,
        bucket: Option<Arc<dyn Bucket>>,
    ) -> NetPort {
        let (send, completions) = mpsc::unbounded_channel();
        let complete = Box::new(move |ticket, result| drop(send.send((ticket, result))));
        let session = self.session(0, permissions, limits, bucket, complete);
        NetPort { send: Box::new(move |request| session.handle(request)), completions }
    }
}
