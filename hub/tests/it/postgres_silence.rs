//! A network that swallows what is sent to PostgreSQL and says nothing: no connection breaks, nobody answers.

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

/// Between a hub and the server; connections made before the last silence say nothing any more.
struct Way {
    silences: watch::Sender<u32>,
}

impl Way {
    /// The way to a database, and its address.
    async fn to(database: &str) -> (Self, String) {
        let (folder, rest) = database.strip_prefix("host=").and_then(|rest| rest.split_once(' ')).expect("a socket");
        let socket = PathBuf::from(folder).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("host=127.0.0.1 port={} {rest}", listener.local_addr().expect("an address").port());
        let (silences, heard) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((hub, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the server");
                tokio::spawn(carry(hub, server, heard.clone()));
            }
        });
        (Self { silences }, address)
    }

    fn fall_silent(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }
}

/// Carries bytes both ways until there is a silence; then swallows them, with both connections open.
async fn carry(mut hub: TcpStream, mut server: UnixStream, mut silences: watch::Receiver<u32>) {
    silences.mark_unchanged();
    tokio::select! {
        // one side closed, or broke, and so does the other
        _ = tokio::io::copy_bidirectional(&mut hub, &mut server) => return,
        _ = silences.changed() => {}
    }
    let mut swallowed = [0; 1024];
    while hub.read(&mut swallowed).await.is_ok_and(|bytes| bytes > 0) {}
    let _ = server.shutdown().await;
}

#[tokio::test]
async fn a_database_that_falls_silent_is_left_and_found_again() {
    let database = shared().database().await;
    let (way, address) = Way::to(&database).await;
    let store = PostgresStore::connect(&address).await.expect("a store").with_timeout_ms(TIMEOUT_MS);
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let submitted = submission(1, script.plan());
    let run = store.submit(NOW, submitted).await.expect("a run");
    way.fall_silent();
    let lost = store.run(run).await.expect_err("nobody answers");
    assert!(matches!(lost, HubError::Unsure(_)), "{lost}");
    assert_eq!(store.run(run).await.expect("over a new connection").expect("the run").id, run);
    assert_eq!(store.cancel_run(NOW, run).await.expect("a change").jobs, 1);
}
