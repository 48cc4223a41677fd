//! A real S3 server in this process, on a folder and port 0. The tests of the command have this file too.

use std::path::Path;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// The name of its one bucket.
pub(crate) const BUCKET: &str = "data";
/// What must never be said.
pub(crate) const SECRET: &str = "canary-4711";
/// Who may come in.
const KEY: &str = "bue";

/// Serves until the test ends.
pub(crate) struct S3Server {
    address: String,
}

impl S3Server {
    pub(crate) async fn start(folder: &Path) -> Self {
        std::fs::create_dir(folder.join(BUCKET)).expect("a bucket");
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder).expect("a file system"));
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(serve(listener, service.build()));
        Self { address }
    }

    /// What stands behind `s3:`.
    pub(crate) fn place(&self, folder: &str) -> String {
        format!("http://{}/{BUCKET}/{folder}", self.address)
    }

    /// What stands in the environment.
    pub(crate) fn variables() -> Vec<(String, String)> {
        vec![("AWS_ACCESS_KEY_ID".into(), KEY.into()), ("AWS_SECRET_ACCESS_KEY".into(), SECRET.into())]
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service = service.clone();
        tokio::spawn(async move {
            // a client that goes away is no event
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
