//! `bue bucket`.

use anyhow::Context;
use bue_hub::{BlobStore, Bucket as Server, Durability, serve_bucket};
use clap::Args;

use crate::address::listen_address;
use crate::commands::serve::{LogFlag, TlsFlags, TokensFlag, listen, place, store_path};
use crate::reactor::{block_on, told_to_stop};
use crate::setting::{BUCKET_LISTEN, BUCKET_STORE};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{say, start_logging};

/// Beside wherever the bucket is started.
const DEFAULT_STORE: &str = "dir:bue-blobs";

/// Keeps code and large values.
#[derive(Debug, Args)]
pub(crate) struct Bucket {
    /// Where to listen [default: BUCKET_SERVER_HOST and _PORT, else 127.0.0.1:61535]
    #[arg(short = 'b', long = "bind", value_name = "HOST:PORT")]
    bind: Option<String>,
    /// The folder: dir:PATH [default: dir:bue-blobs]
    #[arg(long)]
    store: Option<String>,
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
        let path = store_path(&store.unwrap_or_else(|| DEFAULT_STORE.to_owned()), "dir")?;
        start_logging("info", self.log.format(&settings)?);
        block_on(async {
            let opened = BlobStore::open(&path, Durability::Full);
            let opened = opened.with_context(|| format!("failed to open the folder {}", path.display()))?;
            let (listener, address) = listen(address).await?;
            let stop = told_to_stop();
            say(&format!(
                "bue: the bucket listens on {}, its folder is {}",
                place(address, tls.as_ref()),
                path.display()
            ));
            serve_bucket(listener, Server::new(opened, access).with_tls(tls), stop).await;
            Ok(())
        })
    }
}
