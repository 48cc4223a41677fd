//! Servers on port 0, which run until the test ends.

use bue_hub::{Bucket, Hub, serve_bucket, serve_hub};
use tokio::net::TcpListener;

/// Binds a free port on loopback; returns its address too.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

/// Starts a hub; returns its address.
pub(crate) async fn spawn_hub(hub: Hub) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(serve_hub(listener, hub, std::future::pending()));
    address
}

/// Starts a bucket; returns its address.
pub(crate) async fn spawn_bucket(bucket: Bucket) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(serve_bucket(listener, bucket, std::future::pending()));
    address
}
