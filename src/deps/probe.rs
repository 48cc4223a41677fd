//! Imports packages where they are to work: in the guest, in a sandbox host, as a step would.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bue_model::{Answer, BlobHash, BlobRef, Bundle, Package, SourceFile, Value, cbor};
use bue_runtime::{
    BadPackages, Code, Egress, EgressConfig, Event, Finished, Hosts, HostsConfig, Limits, Permissions, Prepared, Site,
    Sites, Task,
};
use bytes::Bytes;

use crate::local::prepare;
use crate::stop::Stop;

const PROGRAM: &str = include_str!("probe.py");
/// The largest packages take some ten seconds to import where nothing is optimised.
const TIME: Duration = Duration::from_secs(120);

/// What became of importing one module: nothing wrong, or what the guest said.
pub(crate) type Tried = (String, Option<String>);

/// Sandboxes to try packages in.
pub(crate) struct Probe {
    prepared: Prepared,
    hosts: Hosts,
}

impl Probe {
    pub(crate) async fn start(cache: PathBuf) -> Result<Self, Stop> {
        let prepared = prepare(cache).await?;
        let bue = std::env::current_exe().context("failed to find the path of this program")?;
        let egress = Egress::new(EgressConfig::default(), None).map_err(|error| anyhow!("failed to {error}"))?;
        let command = (bue, vec![OsString::from("sandbox-host")]);
        let config = HostsConfig { command, hosts: 1, prepared: prepared.clone(), egress };
        Ok(Self { prepared, hosts: Hosts::start(config).await.context("failed to start a sandbox")? })
    }

    /// Imports modules of one package after the other, among all packages of a set. `Err`: they cannot even be unpacked.
    pub(crate) async fn try_set(
        &self,
        wheels: &[(&str, Bytes)],
        modules: &[Vec<String>],
    ) -> Result<Result<Vec<Vec<Tried>>, BadPackages>, Stop> {
        let site = match self.unpack(wheels)? {
            Ok(site) => Arc::new(site),
            Err(bad) => return Ok(Err(bad)),
        };
        let bundle = Arc::new(bundle(wheels));
        let bytes = postcard::to_allocvec(&*bundle).context("failed to pack the probe")?;
        let key = BlobHash(*blake3::hash(&bytes).as_bytes());
        let mut tried = Vec::with_capacity(modules.len());
        for modules in modules {
            let packages = Some(Arc::clone(&site));
            let code = Code::Python { bundle: Arc::clone(&bundle), key, function: "probe".to_owned(), packages };
            tried.push(self.import(code, modules).await?);
        }
        Ok(Ok(tried))
    }

    pub(crate) async fn stop(self) {
        self.hosts.shutdown().await;
    }

    fn unpack(&self, wheels: &[(&str, Bytes)]) -> Result<Result<Site, BadPackages>, Stop> {
        let sites = Sites::open(&self.prepared).context("failed to make a folder for packages")?;
        let wheels: Vec<(&str, &[u8])> = wheels.iter().map(|(file, bytes)| (*file, bytes.as_ref())).collect();
        Ok(sites.unpack(&wheels, &Limits::default()))
    }

    async fn import(&self, code: Code, modules: &[String]) -> Result<Vec<Tried>, Stop> {
        let names = Value::List(modules.iter().map(|module| Value::Text(module.clone())).collect());
        let task = Task {
            code,
            inputs: vec![Bytes::from(cbor::encode(&names))],
            env: None,
            loop_text: None,
            limits: Limits { time: TIME, ..Limits::default() },
            permissions: Permissions::default(),
        };
        let mut running = self.hosts.run(task).await.context("failed to try a package")?;
        loop {
            match running.next().await {
                Ok(Event::Finished(finished)) => return Ok(said(&finished, modules)),
                Ok(Event::Items { .. }) => {}
                Err(lost) => return Ok(all(modules, &lost.to_string())),
            }
        }
    }
}

/// A step that imports what it is told to.
fn bundle(wheels: &[(&str, Bytes)]) -> Bundle {
    let entry = "probe.py".to_owned();
    let files = vec![SourceFile { path: entry.clone(), content: Bytes::from_static(PROGRAM.as_bytes()) }];
    let package = |(file, bytes): &(&str, Bytes)| {
        let blob = BlobRef { hash: BlobHash(*blake3::hash(bytes).as_bytes()), len: bytes.len() as u64 };
        Package { file: (*file).to_owned(), wheel: blob }
    };
    Bundle { entry, first_line: 1, files, packages: wheels.iter().map(package).collect() }
}

fn said(finished: &Finished, modules: &[String]) -> Vec<Tried> {
    match &finished.answer {
        Answer::Completed { value, .. } => match cbor::decode(value) {
            Ok(Value::List(pairs)) if pairs.len() == modules.len() => pairs.iter().map(tried).collect(),
            _ => all(modules, "the sandbox gave no answer"),
        },
        Answer::Failed(failure) => all(modules, &failure.message),
        _ => all(modules, "the sandbox gave no answer"),
    }
}

fn tried(pair: &Value) -> Tried {
    let text = |value: Option<&Value>| match value {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let parts: &[Value] = if let Value::List(parts) = pair { parts } else { &[] };
    (text(parts.first()).unwrap_or_default(), text(parts.get(1)))
}

fn all(modules: &[String], why: &str) -> Vec<Tried> {
    modules.iter().map(|module| (module.clone(), Some(why.to_owned()))).collect()
}
