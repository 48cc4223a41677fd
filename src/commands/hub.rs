//! `bue hub`.

use bue_client::BucketClient;
use bue_hub::{Hub as Server, serve_hub};
use clap::Args;

use crate::address::listen_address;
use crate::commands::hub_store::open;
use crate::commands::remote::{BucketFlag, TrustFlags};
use crate::commands::serve::{LogFlag, TlsFlags, TokensFlag, listen, place as shown};
use crate::reactor::{block_on, told_to_stop};
use crate::setting::{HUB_LISTEN, HUB_STORE};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{say, start_logging};

/// Beside wherever the hub is started.
const DEFAULT_STORE: &str = "sqlite:bue.db";

/// Keeps runs and hands their jobs to workers.
///
/// With -k it tells clients and workers where the bucket is, and says at once whether it can be reached.
#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// Where to listen [default: PIPELINE_HOST and _PORT, else 127.0.0.1:65432]
    #[arg(short = 'b', long = "bind", value_name = "HOST:PORT")]
    bind: Option<String>,
    #[command(flatten)]
    bucket: BucketFlag,
    /// The database: sqlite:PATH or postgres:URL, which any number of hubs may share; postgres: alone is the database that
    /// POSTGRES_HOST, _PORT, _USER, _PASSWORD and _DATABASE name [default: sqlite:bue.db]
    #[arg(long)]
    store: Option<String>,
    #[command(flatten)]
    tokens: TokensFlag,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    log: LogFlag,
}

impl Hub {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let access = self.tokens.access(&settings)?;
        let bind = self.bind.clone().unwrap_or_else(|| settings.address(HUB_LISTEN));
        let address = listen_address(&bind, "-b", &access)?;
        let tls = self.tls.open(&settings)?;
        let bucket = self.bucket.address(&settings)?;
        let store = self.store.clone().or_else(|| settings.text(HUB_STORE)).unwrap_or_else(|| DEFAULT_STORE.to_owned());
        start_logging("info", self.log.format(&settings)?);
        block_on(async {
            if let Some(bucket) = &bucket {
                say_whether_reachable(bucket, &settings).await?;
            }
            let (opened, place) = open(&store, &settings).await?;
            let (listener, address) = listen(address).await?;
            let stop = told_to_stop();
            say(&format!("bue: the hub listens on {}, its database is {place}", shown(address, tls.as_ref())));
            let hub = Server::new(opened).with_access(access).with_bucket(bucket).with_tls(tls);
            serve_hub(listener, hub, stop).await;
            Ok(())
        })
    }
}

/// The hub itself never opens the bucket. But whoever names it wants to know whether it is there.
async fn say_whether_reachable(bucket: &str, settings: &Settings) -> Result<(), Stop> {
    let trust = TrustFlags::default().trust(settings)?;
    let client = BucketClient::new(bucket).and_then(|client| client.with_trust(trust));
    let client = client.map_err(|error| Stop::Usage(error.to_string()))?;
    if let Err(error) = client.ping().await {
        say(&format!("bue: warning: {error}; workers and clients will need it"));
    }
    Ok(())
}
