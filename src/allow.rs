//! What the steps of this machine may reach of what their scripts ask for: flags, settings, secrets.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use bue_model::NetRule;
use bue_runtime::{Allowed, DatabasesConfig, Egress, EgressConfig, Limits, Refusals, Secret};
use clap::Args;
use serde::Deserialize;
use tokio::net::lookup_host;

use crate::databases::databases;
use crate::limits::limits;
use crate::setting::{ALLOW_NET, CA_FILE, SECRET_PREFIX};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::say;

/// Words that mean everything a script asks for.
const EVERYTHING: [&str; 3] = ["", "*", "true"];

/// What steps may reach.
#[derive(Debug, Args)]
pub(crate) struct AllowFlags {
    /// Let steps speak to these hosts, if their script asks for them with `!allow net`; without a value to all it asks
    /// for [default: BUE_ALLOW_NET, else to nobody]
    #[arg(long, value_name = "HOST[:PORT],...", num_args = 0..=1, default_missing_value = "")]
    allow_net: Vec<String>,
}

/// The network of a worker's steps, and who is told of what it refuses.
pub(crate) struct Network {
    pub(crate) config: EgressConfig,
    /// What it and everything else may cost a step.
    pub(crate) limits: Limits,
    /// What postgres steps work on.
    pub(crate) databases: DatabasesConfig,
    ca_file: Option<PathBuf>,
}

impl AllowFlags {
    /// The last value, where it may have been meant for something else.
    pub(crate) fn take_last(&mut self) -> Option<String> {
        let last = self.allow_net.pop()?;
        self.allow_net.push(String::new());
        Some(last).filter(|last| !last.is_empty())
    }

    /// As given, or as set.
    pub(crate) fn network(&self, settings: &Settings) -> Result<Network, Stop> {
        let config = EgressConfig {
            allowed: self.allowed(settings)?,
            secrets: secrets(settings)?,
            own_servers: Vec::new(),
            refusals: Refusals::default(),
        };
        let ca_file = settings.text(CA_FILE).map(PathBuf::from);
        Ok(Network { config, limits: limits(settings)?, databases: databases(settings)?, ca_file })
    }

    fn allowed(&self, settings: &Settings) -> Result<Allowed, Stop> {
        if self.allow_net.is_empty() {
            let set = settings.text(ALLOW_NET);
            return set.filter(|text| text != "false").map_or(Ok(Allowed::Nothing), |text| allowed(&[text]));
        }
        allowed(&self.allow_net)
    }
}

fn allowed(texts: &[String]) -> Result<Allowed, Stop> {
    if texts.iter().any(|text| EVERYTHING.contains(&text.trim())) {
        return Ok(Allowed::Anything);
    }
    let rules = texts.iter().flat_map(|text| text.split(',')).map(rule);
    rules.collect::<Result<_, _>>().map(Allowed::Rules)
}

fn rule(text: &str) -> Result<NetRule, Stop> {
    text.parse().map_err(|error| {
        Stop::Usage(format!(
            "{error}; type `--allow-net api.example.com` or `--allow-net api.example.com:8443,10.0.0.0/8`"
        ))
    })
}

impl Network {
    /// One that lets steps out to this server alone.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let rules = server.to_string().parse().into_iter().collect();
        let config = EgressConfig { allowed: Allowed::Rules(rules), ..EgressConfig::default() };
        Self { config, limits: Limits::default(), databases: DatabasesConfig::default(), ca_file: None }
    }

    /// Keeps steps from our own servers, `HOST:PORT` each, and from the databases: they reach them only where a rule names
    /// address and port. A name that means nothing now is no server that anybody reaches now.
    pub(crate) async fn keep_from(&mut self, servers: impl Iterator<Item = String>) {
        for server in servers.chain(self.databases.servers()) {
            if let Ok(found) = lookup_host(server).await {
                self.config.own_servers.extend(found);
            }
        }
    }

    /// Ready to be used.
    pub(crate) fn open(&self) -> Result<Egress, Stop> {
        let egress = Egress::new(self.config.clone(), self.ca_file.as_deref());
        egress
            .map_err(|error| Stop::Usage(format!("failed to {error}; BUE_CA_FILE names a file of certificates in PEM")))
    }
}

/// Says what would allow what was refused.
pub(crate) fn explain_denials(refusals: &Refusals) {
    let (script, worker) = refusals.lines();
    if script.is_empty() && worker.is_empty() {
        return say("bue: nothing was refused");
    }
    say("bue: what was refused would be allowed by");
    let lines = |place: &str, lines: Vec<String>| {
        for line in lines {
            say(&format!("  {place}  {line}"));
        }
    };
    lines("in the script, above the step:", script);
    lines("where the worker is started:  ", worker);
}

/// A secret in `bue.toml`: where its value is, and what may be done with it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SecretEntry {
    /// A variable of the environment.
    env: Option<String>,
    /// A file; one line break at its end is not part of the value.
    file: Option<PathBuf>,
    /// Rules for the hosts that it may be sent to; none means all that a step may speak to.
    hosts: Vec<String>,
    /// Steps may read it with `bue.secret`.
    readable: bool,
}

/// `[secrets]` of `bue.toml`, and what `BUE_SECRET_NAME` gives.
fn secrets(settings: &Settings) -> Result<BTreeMap<String, Secret>, Stop> {
    let mut secrets = BTreeMap::new();
    for (name, value) in settings.variables_after(SECRET_PREFIX) {
        secrets.insert(name, Secret { value, hosts: Vec::new(), readable: false });
    }
    for (name, entry) in settings.table("secrets") {
        let entry = entry.clone().try_into();
        let entry: SecretEntry =
            entry.map_err(|error| Stop::Usage(format!("`[secrets] {name}` in bue.toml is not understood: {error}")))?;
        let hosts = entry.hosts.iter().map(|text| rule(text)).collect::<Result<_, _>>()?;
        let value = match secret_value(name, &entry, settings)? {
            Some(value) => value,
            None => match secrets.remove(name) {
                Some(of_environment) => of_environment.value,
                None => return Err(no_value(name)),
            },
        };
        secrets.insert(name.clone(), Secret { value, hosts, readable: entry.readable });
    }
    Ok(secrets)
}

/// What the entry says its value is; `None` where it says nothing of it.
fn secret_value(name: &str, entry: &SecretEntry, settings: &Settings) -> Result<Option<String>, Stop> {
    match (&entry.env, &entry.file) {
        (Some(variable), None) => {
            settings.variable(variable).map(|value| Some(value.to_owned())).ok_or_else(|| no_value(name))
        }
        (None, Some(path)) => {
            let unreadable = |error| Stop::Usage(format!("the secret {name} is not in {}: {error}", path.display()));
            let text = fs::read_to_string(path).map_err(unreadable)?;
            Ok(Some(
                text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(&text).to_owned(),
            ))
        }
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Stop::Usage(format!("the secret {name} has two places in bue.toml; keep `env` or `file`")))
        }
    }
}

fn no_value(name: &str) -> Stop {
    Stop::Usage(format!(
        "the secret {name} of bue.toml has no value; set {SECRET_PREFIX}{name}, or name its `env` or `file`"
    ))
}
