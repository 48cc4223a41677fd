//! Servers on port 0, which run until the test ends.

use std::sync::Arc;

use bue_hub::{Bucket, Durability, Hub, JobStore, SqliteStore, serve_bucket, serve_hub};
use bue_model::Timestamp;
use tokio::net::TcpListener;

use crate::world::World;

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

/// Starts a hub in memory whose clock stands still; returns its address, and the world whose runs it has.
pub(crate) async fn spawn_hub_at(now: i64) -> (String, World) {
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
    let hub = Hub::with_clock(store.clone(), Arc::new(move || Timestamp(now)));
    let mut world = World::new(store);
    world.now = now;
    (spawn_hub(hub).await, world)
}

/// Starts a bucket; returns its address.
pub(crate) async fn spawn_bucket(bucket: Bucket) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(serve_bucket(listener, bucket, std::future::pending()));
    address
}
