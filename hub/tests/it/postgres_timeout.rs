//! A network that drops everything sent to PostgreSQL silently: no connection breaks, and no answer comes.

use std::path::PathBuf;

use bue_hub::{HubError, JobStore, PostgresStore};
use bue_model::Timestamp;
use bue_test_support::cluster::shared;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use crate::script::{Script, submission};

const NOW: Timestamp = Timestamp(1_000_000);
/// Long enough for a busy machine, short enough for a test.
const TIMEOUT_MS: u64 = 2_000;

/// A proxy between a hub and the server. Connections made before the last silence carry nothing any more.
struct Proxy {
    silences: watch::Sender<u32>,
}

impl Proxy {
    /// Starts a proxy for a database, and returns the address of the database behind it.
    async fn start(database: &str) -> (Self, String) {
        let (folder, parameters) =
            database.strip_prefix("host=").and_then(|text| text.split_once(' ')).expect("a socket");
        let socket = PathBuf::from(folder).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("host=127.0.0.1 port={} {parameters}", listener.local_addr().expect("an address").port());
        let (silences, receiver) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((hub, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the server");
                tokio::spawn(forward(hub, server, receiver.clone()));
            }
        });
        (Self { silences }, address)
    }

    fn go_silent(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }
}

/// Forwards bytes both ways until there is a silence; then drops them, with both connections open.
async fn forward(mut hub: TcpStream, mut server: UnixStream, mut silences: watch::Receiver<u32>) {
    silences.mark_unchanged();
    tokio::select! {
        // when one side closes or breaks, so does the other
        _ = tokio::io::copy_bidirectional(&mut hub, &mut server) => return,
        _ = silences.changed() => {}
    }
    let mut dropped = [0; 1024];
    while hub.read(&mut dropped).await.is_ok_and(|bytes| bytes > 0) {}
    let _ = server.shutdown().await;
}

#[tokio::test]
async fn a_database_that_stops_answering_is_abandoned_and_found_again() {
    let database = shared().database().await;
    let (proxy, address) = Proxy::start(&database).await;
    let store = PostgresStore::connect(&address).await.expect("a store").with_timeout_ms(TIMEOUT_MS);
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let submitted = submission(1, script.plan());
    let run = store.submit(NOW, submitted).await.expect("a run");
    proxy.go_silent();
    let lost = store.run(run).await.expect_err("no answer");
    assert!(matches!(lost, HubError::Unsure(_)), "{lost}");
    assert_eq!(store.run(run).await.expect("over a new connection").expect("the run").id, run);
    assert_eq!(store.cancel_run(NOW, run).await.expect("a change").jobs, 1);
}
