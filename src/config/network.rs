//! The network and databases of a worker's steps: what they may reach, and what that may cost.

use std::net::SocketAddr;
use std::path::PathBuf;

use bue_model::Language;
use bue_model::wire::WorkerAbilities;
use bue_runtime::{DatabasesConfig, Egress, EgressConfig, Limits, NetPolicy};
use bue_worker::Environment;
use tokio::net::lookup_host;

use crate::config::databases::read_databases;
use crate::config::environment::read_environment;
use crate::config::limits::read_limits;
use crate::config::secrets::read_secrets;
use crate::config::setting::CA_FILE;
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// The rule that allows all public hosts.
pub(crate) const ANY_PUBLIC_HOST: &str = "*";

/// What the steps of a worker may reach.
pub(crate) struct Network {
    pub(crate) config: EgressConfig,
    /// What a step may use, of the network and of everything else.
    pub(crate) limits: Limits,
    /// The databases of postgres steps.
    pub(crate) databases: DatabasesConfig,
    /// The environment variables that steps may request.
    pub(crate) environment: Environment,
    ca_file: Option<PathBuf>,
}

impl Network {
    /// Reads secrets, limits, databases and environment variables from the settings; `allowed` are the rules of this worker,
    /// `variables` the values of `--env`.
    pub(crate) fn from_settings(
        allowed: NetPolicy,
        variables: &[String],
        settings: &Settings,
    ) -> Result<Self, CommandError> {
        let secrets = read_secrets(settings)?;
        let config = EgressConfig { allowed, secrets, ..EgressConfig::default() };
        let ca_file = settings.text(CA_FILE).map(PathBuf::from);
        Ok(Self {
            config,
            limits: read_limits(settings)?,
            databases: read_databases(settings)?,
            environment: read_environment(settings, variables)?,
            ca_file,
        })
    }

    /// A network in which only this server can be reached.
    pub(crate) fn restricted_to(server: SocketAddr) -> Self {
        let rules = server.to_string().parse().into_iter().collect();
        let config = EgressConfig { allowed: NetPolicy::Rules(rules), ..EgressConfig::default() };
        Self {
            config,
            limits: Limits::default(),
            databases: DatabasesConfig::default(),
            environment: Environment::default(),
            ca_file: None,
        }
    }

    /// Protects our own servers, each given as `HOST:PORT`, and the databases: steps reach them only where a rule names both
    /// address and port. A host name that does not resolve is skipped, because steps cannot reach it either.
    pub(crate) async fn protect(&mut self, servers: impl Iterator<Item = String>) {
        for server in servers.chain(self.databases.servers()) {
            if let Ok(addresses) = lookup_host(server).await {
                self.config.own_servers.extend(addresses);
            }
        }
    }

    /// Returns what steps may use, for people who ask the hub. Contains names only, no values of secrets and no addresses of
    /// databases.
    pub(crate) fn abilities(&self) -> WorkerAbilities {
        let (any, rules) = match &self.config.allowed {
            NetPolicy::Nothing => (None, &[][..]),
            NetPolicy::Public(rules) => (Some(ANY_PUBLIC_HOST.to_owned()), rules.as_slice()),
            NetPolicy::Rules(rules) => (None, rules.as_slice()),
        };
        let net = any.into_iter().chain(rules.iter().map(ToString::to_string)).collect();
        let tcp = self.config.allowed_tcp.rules().iter().map(ToString::to_string).collect();
        let unnamed = self.databases.unnamed.iter().map(|_| String::new());
        let mut databases: Vec<String> = unnamed.chain(self.databases.named.keys().cloned()).collect();
        databases.sort();
        WorkerAbilities {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            languages: Language::ALL.map(|language| language.name().to_owned()).to_vec(),
            net,
            tcp,
            secrets: self.config.secrets.keys().cloned().collect(),
            databases,
            environment: self.environment.0.keys().cloned().collect(),
            // known once its hosts have started
            wall: Vec::new(),
        }
    }

    /// Makes the egress that sends the requests of steps.
    pub(crate) fn egress(&self) -> Result<Egress, CommandError> {
        Egress::new(self.config.clone(), self.ca_file.as_deref()).map_err(|error| {
            CommandError::Usage(format!("failed to {error}; BUE_CA_FILE names a file of certificates in PEM format"))
        })
    }
}
