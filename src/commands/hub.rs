//! `bue hub`.

use std::sync::Arc;

use bue_client::BucketClient;
use bue_hub::{Hub as HubServer, serve_hub};
use clap::Args;

use crate::config::setting::{HUB_LISTEN, HUB_STORE, KEEP, KEEP_AUDIT, STATSD};
use crate::config::settings::Settings;
use crate::flags::client::BucketFlag;
use crate::flags::server::{ReportFlag, ServerFlags, WebFlag};
use crate::process::command_error::CommandError;
use crate::process::event_loop::block_on;
use crate::process::logging::start_logging;
use crate::process::output::eprint_line;
use crate::process::signals::shutdown_signal;
use crate::server::bundles::BucketBundles;
use crate::server::hub_store::open_hub_store;
use crate::server::listener::bind;
use crate::server::own_settings::{OwnSetting, hub_settings};
use crate::server::retention::{DEFAULT_KEEP, DEFAULT_KEEP_AUDIT, Retention, parse_keep};
use crate::server::telemetry::{started, telemetry};

/// A file in the working directory.
const DEFAULT_STORE: &str = "sqlite:bue.db";

/// Stores runs and distributes their jobs to workers.
///
/// With -k it tells clients and workers the bucket's address, warns if the bucket cannot be reached, and has it delete blobs
/// that no run needs any more. If the bucket requires tokens, set BUE_TOKEN or BUE_TOKEN_FILE to one of an operator.
#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// Where to listen [default: PIPELINE_HOST and _PORT, else 127.0.0.1:65432]
    #[arg(short = 'b', long = "bind", value_name = "HOST:PORT")]
    bind: Option<String>,
    #[command(flatten)]
    bucket: BucketFlag,
    /// The database: sqlite:PATH, or postgres:URL, which any number of hubs may share; postgres: alone is the database that
    /// POSTGRES_HOST, _PORT, _USER, _PASSWORD and _DATABASE name [default: sqlite:bue.db]
    #[arg(long)]
    store: Option<String>,
    /// How long to keep finished runs, such as 12h or 30d, or forever; then they and their blobs in the bucket are deleted
    /// [default: BUE_KEEP, else 7d]
    #[arg(long, value_name = "DURATION")]
    keep: Option<String>,
    /// How long to keep the audit, which says who changed what, such as 90d, or forever; what is about a run is kept as long as the
    /// run in any case [default: BUE_KEEP_AUDIT, else 90d]
    #[arg(long, value_name = "DURATION")]
    keep_audit: Option<String>,
    #[command(flatten)]
    report: ReportFlag,
    #[command(flatten)]
    web: WebFlag,
    #[command(flatten)]
    server: ServerFlags,
    /// A flag of Buelon that has no effect here
    #[arg(short = 'p', value_name = "HOST:PORT:USER:PASSWORD:DATABASE", hide = true)]
    postgres: Option<String>,
}

impl Hub {
    /// The names of the flags that were given, of those that are settings.
    fn given_flags(&self) -> [Option<&'static str>; 5] {
        [
            self.bind.as_ref().map(|_| "-b"),
            self.store.as_ref().map(|_| "--store"),
            self.keep.as_ref().map(|_| "--keep"),
            self.keep_audit.as_ref().map(|_| "--keep-audit"),
            self.report.statsd.as_ref().map(|_| "--statsd"),
        ]
    }

    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        if self.postgres.is_some() {
            eprint_line(
                "bue: -p has no effect: --store names the hub's database, and POSTGRES_HOST and so on that of a worker's steps",
            );
        }
        let flags = self.given_flags();
        let setup = self.server.setup(self.bind, HUB_LISTEN, &settings)?;
        let bucket_address = self.bucket.address(&settings)?;
        let store = self.store.or_else(|| settings.text(HUB_STORE)).unwrap_or_else(|| DEFAULT_STORE.to_owned());
        let keep_text = self.keep.or_else(|| settings.text(KEEP)).unwrap_or_else(|| DEFAULT_KEEP.to_owned());
        let keep = parse_keep(&keep_text, "--keep")?;
        let keep_audit_text = self.keep_audit.or_else(|| settings.text(KEEP_AUDIT));
        let keep_audit_text = keep_audit_text.unwrap_or_else(|| DEFAULT_KEEP_AUDIT.to_owned());
        let keep_audit = parse_keep(&keep_audit_text, "--keep-audit")?;
        let bucket = self.bucket.client(&settings)?;
        let telemetry = telemetry(self.report.statsd.clone(), &settings)?;
        let code = self.bucket.client(&settings)?;
        start_logging("info", setup.log_format);
        block_on(async {
            if let Some(bucket) = &bucket {
                warn_if_unreachable(bucket).await;
            }
            let database = open_hub_store(&store, &settings).await?;
            let bound = bind(setup.address, setup.tls.as_ref()).await?;
            let shutdown = shutdown_signal();
            eprint_line(&format!(
                "bue: the hub listens on {}, its database is {}",
                bound.client_address, database.name
            ));
            self.web.announce(&bound.client_address, &setup.access);
            let retention = Retention { store: database.store.clone(), bucket, keep, keep_audit };
            let server = self.web.apply(HubServer::new(database.store)).with_access(setup.access);
            let server = server.with_bucket(bucket_address).with_tls(setup.tls);
            let telemetry = started(telemetry, bound.port);
            let statsd = telemetry.statsd.clone().unwrap_or_else(|| "none".to_owned());
            let values = [bound.client_address.clone(), database.name.clone(), keep_text, keep_audit_text, statsd];
            let own = own_settings(values, flags);
            let server = server.with_settings(hub_settings(&settings, own)).with_telemetry(telemetry);
            let server = match code {
                Some(bucket) => server.with_bundles(Arc::new(BucketBundles(bucket))),
                None => server,
            };
            tokio::select! {
                () = serve_hub(bound.listener, server, shutdown) => {}
                () = retention.run() => {}
            }
            Ok(())
        })
    }
}

/// The hub's own settings: address, database, how long it keeps runs and the audit, and the StatsD server, each with the flag that was
/// given.
fn own_settings(values: [String; 5], flags: [Option<&'static str>; 5]) -> Vec<OwnSetting> {
    let settings = [HUB_LISTEN.whole, HUB_STORE, KEEP, KEEP_AUDIT, STATSD];
    let own = settings.into_iter().zip(values).zip(flags);
    own.map(|((setting, value), flag)| OwnSetting { setting, value, flag }).collect()
}

/// A wrong address of the bucket should be noticed when the hub starts, not when the first worker fails.
async fn warn_if_unreachable(bucket: &BucketClient) {
    if let Err(error) = bucket.ping().await {
        eprint_line(&format!("bue: warning: {error}; workers and clients will need it"));
    }
}
