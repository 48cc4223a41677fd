//! `bue hub`.

use std::time::Duration;

use bue_client::BucketClient;
use bue_hub::{Hub as Server, serve_hub};
use clap::Args;

use crate::address::listen_address;
use crate::commands::hub_store::open;
use crate::commands::remote::{BucketFlag, TrustFlags, set_token};
use crate::commands::serve::{LogFlag, TlsFlags, TokensFlag, listen, place as shown};
use crate::duration::duration;
use crate::reactor::{block_on, told_to_stop};
use crate::setting::{HUB_LISTEN, HUB_STORE, KEEP};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{say, start_logging};
use crate::upkeep::Upkeep;

/// Beside wherever the hub is started.
const DEFAULT_STORE: &str = "sqlite:bue.db";
/// A week: who wants to see a run that failed on a Friday evening does so on Monday.
const DEFAULT_KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Keeps runs and hands their jobs to workers.
///
/// With -k it tells clients and workers where the bucket is, says at once whether it can be reached, and has it throw away what
/// no run needs any more. Where the bucket asks for tokens, that takes one of an operator in BUE_TOKEN or BUE_TOKEN_FILE.
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
    /// How long runs are kept that ended, 12h or 30d, or forever; then they and what they left in the bucket are thrown away
    /// [default: BUE_KEEP, else 7d]
    #[arg(long, value_name = "DURATION")]
    keep: Option<String>,
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
        let keep = keep(self.keep.clone().or_else(|| settings.text(KEEP)).as_deref())?;
        let client = bucket.as_deref().map(|bucket| bucket_client(bucket, &settings)).transpose()?;
        start_logging("info", self.log.format(&settings)?);
        block_on(async {
            if let Some(client) = &client {
                say_whether_reachable(client).await;
            }
            let (opened, place) = open(&store, &settings).await?;
            let (listener, address) = listen(address).await?;
            let stop = told_to_stop();
            say(&format!("bue: the hub listens on {}, its database is {place}", shown(address, tls.as_ref())));
            let upkeep = Upkeep { store: opened.clone(), bucket: client, keep };
            let hub = Server::new(opened).with_access(access).with_bucket(bucket).with_tls(tls);
            tokio::select! {
                () = serve_hub(listener, hub, stop) => {}
                () = upkeep.run() => {}
            }
            Ok(())
        })
    }
}

/// `None` is forever.
fn keep(text: Option<&str>) -> Result<Option<Duration>, Stop> {
    match text.map(str::trim) {
        None => Ok(Some(DEFAULT_KEEP)),
        Some("forever") => Ok(None),
        Some(text) => duration(text, "--keep").map(Some),
    }
}

fn bucket_client(address: &str, settings: &Settings) -> Result<BucketClient, Stop> {
    let trust = TrustFlags::default().trust(settings)?;
    let client = BucketClient::new(address).and_then(|client| client.with_trust(trust));
    match set_token(settings)? {
        None => client,
        Some(token) => client.and_then(|client| client.with_token(&token)),
    }
    .map_err(|error| Stop::Usage(error.to_string()))
}

/// Whoever names a bucket wants to know whether it is there.
async fn say_whether_reachable(client: &BucketClient) {
    if let Err(error) = client.ping().await {
        say(&format!("bue: warning: {error}; workers and clients will need it"));
    }
}
