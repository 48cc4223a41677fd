//! A real S3 server in this process, on a folder and port 0. The tests of the command include this file too.

use std::path::Path;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// The name of its only bucket.
pub(crate) const BUCKET: &str = "data";
/// The secret key, which must never be shown.
pub(crate) const SECRET: &str = "canary-4711";
/// The access key.
const ACCESS_KEY: &str = "bue";

/// Serves until the test ends.
pub(crate) struct S3Server {
    address: String,
}

impl S3Server {
    pub(crate) async fn start(folder: &Path) -> Self {
        std::fs::create_dir(folder.join(BUCKET)).expect("a bucket");
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder).expect("a file system"));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(serve(listener, service.build()));
        Self { address }
    }

    /// The location, to be written after `s3:`.
    pub(crate) fn location(&self, folder: &str) -> String {
        format!("http://{}/{BUCKET}/{folder}", self.address)
    }

    /// The environment variables with the credentials.
    pub(crate) fn variables() -> Vec<(String, String)> {
        vec![("AWS_ACCESS_KEY_ID".into(), ACCESS_KEY.into()), ("AWS_SECRET_ACCESS_KEY".into(), SECRET.into())]
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service = service.clone();
        tokio::spawn(async move {
            // a client may go away
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
