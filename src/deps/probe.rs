//! Imports packages where they are to work: in the guest, inside a sandbox, as a step would.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bue_model::{Answer, BlobHash, BlobRef, Bundle, Package, SourceFile, Value, cbor};
use bue_runtime::{
    BadPackages, Code, Egress, EgressConfig, Event, Finished, HostLifecycle, Hosts, HostsConfig, Limits, Permissions,
    Site, Sites, Task, WallMode,
};
use bytes::Bytes;

use crate::process::command_error::CommandError;
use crate::sandbox::{prepare_sandbox, sandbox_host_command};

const PROGRAM: &str = include_str!("probe.py");
/// Time limit for the modules of one package. In a debug build, the largest packages take about ten seconds to import.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(120);

/// The result of importing one module.
#[derive(Clone, Debug)]
pub(crate) struct ModuleImport {
    pub(crate) module: String,
    /// Why it failed; `None` if it succeeded.
    pub(crate) error: Option<String>,
}

/// A sandbox to try packages in.
pub(crate) struct Probe {
    sites: Sites,
    hosts: Hosts,
}

impl Probe {
    pub(crate) async fn start(cache: PathBuf, wall: WallMode) -> Result<Self, CommandError> {
        let prepared = prepare_sandbox(cache).await?;
        let egress = Egress::new(EgressConfig::default(), None).map_err(|error| anyhow!("failed to {error}"))?;
        let sites = Sites::open(&prepared).context("failed to create a folder for packages")?;
        let (command, packages) = (sandbox_host_command()?, Some(sites.clone()));
        let config =
            HostsConfig { command, hosts: 1, prepared, egress, packages, wall, lifecycle: HostLifecycle::default() };
        Ok(Self { sites, hosts: Hosts::start(config).await.context("failed to start a sandbox")? })
    }

    /// Imports the modules of one package after the other, with all packages of a set installed. The inner error: the packages
    /// cannot even be unpacked.
    pub(crate) async fn try_set(
        &self,
        wheels: &[(&str, Bytes)],
        modules: &[Vec<String>],
    ) -> Result<Result<Vec<Vec<ModuleImport>>, BadPackages>, CommandError> {
        let site = match self.unpack(wheels) {
            Ok(site) => Arc::new(site),
            Err(error) => return Ok(Err(error)),
        };
        let bundle = Arc::new(bundle(wheels));
        let bytes = postcard::to_allocvec(&*bundle).context("failed to pack the probe")?;
        let key = BlobHash(*blake3::hash(&bytes).as_bytes());
        let mut imports = Vec::with_capacity(modules.len());
        for modules in modules {
            let packages = Some(Arc::clone(&site));
            let code = Code::Python {
                bundle: Arc::clone(&bundle),
                key,
                function: "probe".to_owned(),
                keywords: None,
                packages,
            };
            imports.push(self.import(code, modules).await?);
        }
        Ok(Ok(imports))
    }

    pub(crate) async fn stop(self) {
        self.hosts.shutdown().await;
    }

    fn unpack(&self, wheels: &[(&str, Bytes)]) -> Result<Site, BadPackages> {
        let wheels: Vec<(&str, &[u8])> = wheels.iter().map(|(file, bytes)| (*file, bytes.as_ref())).collect();
        self.sites.unpack(&wheels, &Limits::default())
    }

    async fn import(&self, code: Code, modules: &[String]) -> Result<Vec<ModuleImport>, CommandError> {
        let names = Value::List(modules.iter().map(|module| Value::Text(module.clone())).collect());
        let task = Task {
            code,
            inputs: vec![Bytes::from(cbor::encode(&names))],
            env: None,
            loop_text: None,
            limits: Limits { time: IMPORT_TIMEOUT, ..Limits::default() },
            permissions: Permissions::default(),
        };
        let mut running = self.hosts.run(task).await.context("failed to try a package")?;
        loop {
            match running.next().await {
                Ok(Event::Finished(finished)) => return Ok(imports(&finished, modules)),
                Ok(Event::Items { .. } | Event::Lines { .. }) => {}
                Err(error) => return Ok(all_failed(modules, &error.to_string())),
            }
        }
    }
}

/// The step that imports the modules in its argument.
fn bundle(wheels: &[(&str, Bytes)]) -> Bundle {
    let entry = "probe.py".to_owned();
    let files = vec![SourceFile { path: entry.clone(), content: Bytes::from_static(PROGRAM.as_bytes()) }];
    let package = |(file, bytes): &(&str, Bytes)| {
        let blob = BlobRef { hash: BlobHash(*blake3::hash(bytes).as_bytes()), len: bytes.len() as u64 };
        Package { file: (*file).to_owned(), wheel: blob }
    };
    Bundle { entry, first_line: 1, files, packages: wheels.iter().map(package).collect() }
}

fn imports(finished: &Finished, modules: &[String]) -> Vec<ModuleImport> {
    match &finished.answer {
        Answer::Completed { value, .. } => match cbor::decode(value) {
            Ok(Value::List(pairs)) if pairs.len() == modules.len() => pairs.iter().map(from_pair).collect(),
            _ => all_failed(modules, "the sandbox gave no answer"),
        },
        Answer::Failed(failure) => all_failed(modules, &failure.message),
        _ => all_failed(modules, "the sandbox gave no answer"),
    }
}

/// Converts `[module, error or None]`, as `probe.py` returns it.
fn from_pair(pair: &Value) -> ModuleImport {
    let text = |value: Option<&Value>| match value {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let parts: &[Value] = if let Value::List(parts) = pair { parts } else { &[] };
    ModuleImport { module: text(parts.first()).unwrap_or_default(), error: text(parts.get(1)) }
}

fn all_failed(modules: &[String], error: &str) -> Vec<ModuleImport> {
    modules.iter().map(|module| ModuleImport { module: module.clone(), error: Some(error.to_owned()) }).collect()
}
