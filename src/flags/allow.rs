//! `--allow-net`, `--allow-tcp`, `--env` and `--allow-privileged-postgres`: what steps may reach and read.

use bue_runtime::NetPolicy;
use clap::Args;

use crate::config::net_rules::{parse_net_policy, parse_tcp_policy};
use crate::config::network::Network;
use crate::config::setting::{ALLOW_NET, ALLOW_PRIVILEGED_POSTGRES, ALLOW_TCP};
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// What steps may reach.
#[derive(Debug, Args)]
pub(crate) struct AllowFlags {
    /// Let steps connect to these hosts if their script asks for them with `!allow net`; without a value, to all public hosts
    /// it asks for. Loopback and private addresses must be named [default: BUE_ALLOW_NET, else none]
    #[arg(long, value_name = "HOST[:PORT],...", num_args = 0..=1, default_missing_value = "")]
    allow_net: Vec<String>,
    /// Let steps open TCP connections to these hosts and ports if their script asks for them with `!allow tcp`. Loopback and private
    /// addresses must be named [default: BUE_ALLOW_TCP, else none]
    #[arg(long, value_name = "HOST:PORT,...")]
    allow_tcp: Vec<String>,
    /// An environment variable for steps whose script asks for it with `!allow env`; may be repeated [default: BUE_ENV_NAME, and
    /// `[env]` in bue.toml]
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Run postgres steps even as a role that can access a hub's tables or the server's files [default:
    /// BUE_ALLOW_PRIVILEGED_POSTGRES, else no]
    #[arg(long)]
    allow_privileged_postgres: bool,
}

impl AllowFlags {
    /// Takes away the last value, which may have been meant as a positional argument; the flag then has no value.
    pub(crate) fn take_last_value(&mut self) -> Option<String> {
        let last = self.allow_net.pop()?;
        self.allow_net.push(String::new());
        Some(last).filter(|last| !last.is_empty())
    }

    /// Returns the network that these flags and the settings describe.
    pub(crate) fn network(&self, settings: &Settings) -> Result<Network, CommandError> {
        let mut network = Network::from_settings(self.allowed(settings)?, &self.env, settings)?;
        network.config.allowed_tcp = self.allowed_tcp(settings)?;
        if self.allow_privileged_postgres || settings.switch(ALLOW_PRIVILEGED_POSTGRES)? {
            network.databases = network.databases.allow_privileged_roles();
        }
        Ok(network)
    }

    fn allowed(&self, settings: &Settings) -> Result<NetPolicy, CommandError> {
        if !self.allow_net.is_empty() {
            return parse_net_policy(&self.allow_net);
        }
        let setting = settings.text(ALLOW_NET).filter(|text| text != "false");
        setting.map_or(Ok(NetPolicy::Nothing), |text| parse_net_policy(&[text]))
    }

    fn allowed_tcp(&self, settings: &Settings) -> Result<NetPolicy, CommandError> {
        if !self.allow_tcp.is_empty() {
            return parse_tcp_policy(&self.allow_tcp);
        }
        settings.text(ALLOW_TCP).map_or(Ok(NetPolicy::Nothing), |text| parse_tcp_policy(&[text]))
    }
}
