//! The one way out: requests of steps, made by the parent, which holds the network that sandbox hosts do not have.
//!
//! ```text
//! Session (one a step) -- exchange.rs, a task each --> clients.rs, a pooled client for each set of rules
//!    desk.rs: limits         request.rs: read strictly     connect.rs: resolve, check each address, dial, TLS
//!                            gate.rs: rules of both sides  address.rs: what is no public host
//!                            secrets.rs: filled in         upload.rs, download.rs: bodies, as fast as both sides take them
//! ```
//! A response is given to the step as it came: not decompressed, not followed to where it points.

mod address;
mod clients;
mod connect;
mod desk;
mod download;
mod exchange;
mod gate;
mod refusals;
mod request;
mod resolve;
mod secrets;
mod tls;
mod trouble;
mod upload;

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

pub use self::connect::{Boxed, Resolve};
pub use self::gate::Allowed;
pub use self::refusals::Refusals;
pub use self::resolve::SystemResolver;
pub use self::secrets::Secret;
pub use self::tls::CaFileError;

use self::clients::Clients;
use self::connect::Dialler;
pub(crate) use self::desk::{Session, Tell};
use self::tls::Trust;
use crate::step::limits::Limits;
use crate::step::net_port::NetPort;
use crate::step::permissions::Permissions;

/// What a worker lets its steps reach. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct EgressConfig {
    /// Whom steps may speak to, of those their script asks for.
    pub allowed: Allowed,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Where our own servers listen: hub, bucket, databases. A rule must name the address and the port.
    pub own: Vec<SocketAddr>,
    /// Is told of what was refused.
    pub refusals: Refusals,
}

/// The network of a worker's steps. Clones are one.
#[derive(Clone, Debug)]
pub struct Egress(Arc<Clients>);

impl Egress {
    /// With this machine's resolver. `ca_file`: certificates in PEM that are trusted beside those of the machine.
    ///
    /// # Errors
    /// A file that holds no certificates.
    pub fn new(config: EgressConfig, ca_file: Option<&Path>) -> Result<Self, CaFileError> {
        Self::with_resolver(config, ca_file, Arc::new(SystemResolver::default()))
    }

    /// The same with a resolver of one's own.
    ///
    /// # Errors
    /// A file that holds no certificates.
    pub fn with_resolver(
        config: EgressConfig,
        ca_file: Option<&Path>,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, CaFileError> {
        let EgressConfig { allowed, secrets, own, refusals } = config;
        let trust = ca_file.map_or_else(|| Ok(Trust::default()), Trust::read)?;
        Ok(Self(Arc::new(Clients {
            dialler: Arc::new(Dialler { resolver, own }),
            allowed,
            secrets,
            refusals,
            trust,
            tls: OnceLock::new(),
            known: Default::default(),
        })))
    }

    /// One that allows nothing.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Clients {
            dialler: Arc::new(Dialler { resolver: Arc::new(SystemResolver::default()), own: Vec::new() }),
            allowed: Allowed::Nothing,
            secrets: BTreeMap::new(),
            refusals: Refusals::default(),
            trust: Trust::default(),
            tls: OnceLock::new(),
            known: Default::default(),
        }))
    }

    /// A step's place. `tell` is told how its operations end.
    pub(crate) fn session(&self, permissions: &Permissions, limits: &Limits, tell: Tell) -> Session {
        Session::new(Arc::clone(&self.0), permissions, limits, tell)
    }

    /// The network for a step that runs in this process: [`Sandbox::run_connected`](crate::host::sandbox::Sandbox::run_connected).
    /// Dropping the port ends what is under way.
    #[must_use]
    pub fn port(&self, permissions: &Permissions, limits: &Limits) -> NetPort {
        let (tell, ended) = mpsc::unbounded_channel();
        let tell = Box::new(move |ticket, ended| drop(tell.send((ticket, ended))));
        let session = self.session(permissions, limits, tell);
        NetPort { send: Box::new(move |request| session.handle(request)), ended }
    }
}
