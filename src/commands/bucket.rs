//! `bue bucket`.

use bue_hub::{Bucket as BucketServer, serve_bucket};
use clap::Args;

use crate::config::duration::parse_duration;
use crate::config::setting::{BUCKET_LISTEN, BUCKET_STORE, GRACE};
use crate::config::settings::Settings;
use crate::flags::server::ServerFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::block_on;
use crate::process::logging::start_logging;
use crate::process::output::eprint_line;
use crate::process::signals::shutdown_signal;
use crate::server::bucket_store::open_bucket_store;
use crate::server::listener::bind;

/// A folder in the working directory.
const DEFAULT_STORE: &str = "dir:bue-blobs";

/// Stores code and large values.
///
/// With an S3 store it reads AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and related variables from the environment
/// or .env. For an S3-compatible store, set AWS_ENDPOINT_URL, or give its URL: s3:https://HOST:PORT/BUCKET/FOLDER.
#[derive(Debug, Args)]
pub(crate) struct Bucket {
    /// Where to listen [default: BUCKET_SERVER_HOST and _PORT, else 127.0.0.1:61535]
    #[arg(short = 'b', long = "bind", value_name = "HOST:PORT")]
    bind: Option<String>,
    /// Where to store data: dir:PATH, or s3:BUCKET or s3:BUCKET/FOLDER [default: dir:bue-blobs]
    #[arg(long)]
    store: Option<String>,
    /// How long to keep blobs that no run needs; must be longer than any upload of a run takes [default: BUE_GRACE, else 1
    /// day]
    #[arg(long, value_name = "DURATION")]
    grace: Option<String>,
    #[command(flatten)]
    server: ServerFlags,
}

impl Bucket {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let setup = self.server.setup(self.bind, BUCKET_LISTEN, &settings)?;
        let store = self.store.or_else(|| settings.text(BUCKET_STORE)).unwrap_or_else(|| DEFAULT_STORE.to_owned());
        let grace = self.grace.or_else(|| settings.text(GRACE));
        let grace = grace.map(|text| parse_duration(&text, "--grace")).transpose()?;
        start_logging("info", setup.log_format);
        block_on(async {
            let blobs = open_bucket_store(&store, grace, &settings).await?;
            let bound = bind(setup.address, setup.tls.as_ref()).await?;
            let shutdown = shutdown_signal();
            eprint_line(&format!("bue: the bucket listens on {}, its store is {store}", bound.client_address));
            let server = BucketServer::new(blobs, setup.access).with_tls(setup.tls);
            serve_bucket(bound.listener, server, shutdown).await;
            Ok(())
        })
    }
}
