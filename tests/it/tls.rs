//! The production recipe over TLS, with an authority of one's own and certificates for the workers.

use crate::project::{Project, finish, prepare, step};
use crate::services::Server;
use bue_test_support::authority::{Authority, Valid};

fn certified(project: &Project, authority: &Authority, file: &str, name: &str) {
    let (certificate, key) = authority.sign(name, Valid::Now);
    project.write(&format!("{file}.pem"), &certificate);
    project.write(&format!("{file}.key"), &key);
}

#[test]
fn hub_bucket_worker_and_client_work_over_tls() {
    prepare();
    let script = [
        "$ production-small\n!0\n".to_owned(),
        step("one", "def one():\n    return 'x' * 100000"),
        "one()\n".to_owned(),
    ];
    let project = Project::new(&[("example.bue", &script.concat())]);
    let authority = Authority::new();
    project.write("ca.pem", &authority.root);
    certified(&project, &authority, "server", "127.0.0.1");
    certified(&project, &authority, "client", "worker-1");
    project.write(
        "bue.toml",
        "[tls]\ncert = 'server.pem'\nkey = 'server.key'\nclient_ca = 'ca.pem'\n\
         [client]\nca = 'ca.pem'\ncert = 'client.pem'\nkey = 'client.key'\n",
    );
    let bucket = Server::start(project.folder(), &["bucket", "-b", "127.0.0.1:0"]);
    assert!(bucket.address.starts_with("https://127.0.0.1:"), "{}", bucket.address);
    let hub = Server::start(project.folder(), &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    assert!(!hub.said().contains("warning"), "it reaches the bucket: {}", hub.said());
    let worker = Server::start(project.folder(), &["worker", "-b", &hub.address]);
    let run = project.bue_writes(&["upload", "-b", &hub.address, "-f", "example.bue", "--wait"]).expect(0);
    let run = run.stdout.trim().to_owned();
    assert_eq!(project.bue_writes(&["result", "-b", &hub.address, &run]).expect(0).stdout.len(), 100_003);

    // from elsewhere, with flags
    let other = Project::new(&[("ca.pem", &authority.root)]);
    certified(&other, &authority, "me", "me");
    let flags = ["--ca", "ca.pem", "--client-cert", "me.pem", "--client-key", "me.key"];
    let status = |flags: &[&str]| other.bue_writes(&[&["status", "-b", &hub.address], flags].concat());
    status(&flags).expect(0);
    status(&flags[..2]).expect(3).says(&["asks for a client certificate", "--client-cert FILE"]);
    status(&flags[2..]).expect(3).says(&["authority", "--ca FILE"]);
    status(&["--ca", "nowhere.pem"]).expect(2).says(&["nowhere.pem"]);
    let mut half = other.command(&["status", "-b", &hub.address]);
    half.env("BUE_CLIENT_CERT", "me.pem");
    finish(half).expect(2).says(&["BUE_CLIENT_KEY"]);
    let plain = hub.address.replace("https://", "");
    other.bue(&["status", "-b", &plain]).expect(3).says(&["speaks TLS", "https://HOST:PORT"]);
    let refused = other.bue(&["worker", "-b", &hub.address, "--ca", "ca.pem"]);
    refused.expect(3).says(&["the hub refused this worker", "--client-cert FILE"]);
    assert!(hub.said().contains("presented no certificate"), "{}", hub.said());
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

#[test]
fn a_server_without_its_key_does_not_start() {
    let project = Project::new(&[("ca.pem", &Authority::new().root)]);
    for verb in ["hub", "bucket"] {
        let start = |flags: &[&str]| project.bue(&[&[verb, "-b", "127.0.0.1:0"], flags].concat()).expect(2);
        start(&["--tls-cert", "ca.pem"]).says(&["--tls-cert FILE --tls-key FILE"]);
        start(&["--tls-client-ca", "ca.pem"]).says(&["--tls-cert FILE --tls-key FILE"]);
        start(&["--tls-cert", "ca.pem", "--tls-key", "nowhere"]).says(&["nowhere"]);
        start(&["--tls-cert", "ca.pem", "--tls-key", "ca.pem"]).says(&["ca.pem", "key"]);
    }
}
