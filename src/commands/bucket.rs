//! `bue bucket`.

use anyhow::Context;
use bue_hub::{BlobStore, Bucket as Server, Durability, serve_bucket};
use clap::Args;

use crate::address::listen_address;
use crate::commands::serve::{LogFlag, TlsFlags, TokensFlag, listen, place, store_path};
use crate::duration::duration;
use crate::reactor::{block_on, told_to_stop};
use crate::setting::{BUCKET_LISTEN, BUCKET_STORE, GRACE};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{say, start_logging};

/// Beside wherever the bucket is started.
const DEFAULT_STORE: &str = "dir:bue-blobs";

/// Keeps code and large values.
///
/// On S3 it reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and their like, from the environment or .env. A store
/// that speaks like S3 is named by AWS_ENDPOINT_URL, or in place of the bucket: s3:https://HOST:PORT/BUCKET/FOLDER.
#[derive(Debug, Args)]
pub(crate) struct Bucket {
    /// Where to listen [default: BUCKET_SERVER_HOST and _PORT, else 127.0.0.1:61535]
    #[arg(short = 'b', long = "bind", value_name = "HOST:PORT")]
    bind: Option<String>,
    /// Where the bytes are: dir:PATH, or s3:BUCKET or s3:BUCKET/FOLDER [default: dir:bue-blobs]
    #[arg(long)]
    store: Option<String>,
    /// How long blobs are kept that no run needs, longer than any upload of a run takes [default: BUE_GRACE, else 1 day]
    #[arg(long, value_name = "DURATION")]
    grace: Option<String>,
    #[command(flatten)]
    tokens: TokensFlag,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    log: LogFlag,
}

impl Bucket {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let access = self.tokens.access(&settings)?;
        let bind = self.bind.clone().unwrap_or_else(|| settings.address(BUCKET_LISTEN));
        let address = listen_address(&bind, "-b", &access)?;
        let tls = self.tls.open(&settings)?;
        let store = self.store.clone().or_else(|| settings.text(BUCKET_STORE));
        let store = store.unwrap_or_else(|| DEFAULT_STORE.to_owned());
        let grace = self.grace.clone().or_else(|| settings.text(GRACE));
        let grace = grace.map(|text| duration(&text, "--grace")).transpose()?;
        start_logging("info", self.log.format(&settings)?);
        block_on(async {
            let opened = open(&store, &settings)?;
            let opened = if let Some(grace) = grace { opened.with_grace(grace) } else { opened };
            opened.check().await.with_context(|| format!("failed to open the store {store}"))?;
            let (listener, address) = listen(address).await?;
            let stop = told_to_stop();
            say(&format!("bue: the bucket listens on {}, its store is {store}", place(address, tls.as_ref())));
            serve_bucket(listener, Server::new(opened, access).with_tls(tls), stop).await;
            Ok(())
        })
    }
}

/// What `--store` says.
fn open(store: &str, settings: &Settings) -> Result<BlobStore, Stop> {
    if let Some(place) = store.strip_prefix("s3:") {
        let variables = settings.variables_after("AWS_").into_iter();
        let opened = BlobStore::s3(place, variables.map(|(name, value)| (format!("AWS_{name}"), value)));
        return opened.map_err(|error| Stop::Usage(error.to_string()));
    }
    let path = store_path(store, "dir")?;
    let opened = BlobStore::open(&path, Durability::Full);
    Ok(opened.with_context(|| format!("failed to open the folder {}", path.display()))?)
}
