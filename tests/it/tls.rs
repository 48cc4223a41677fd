//! The production recipe over TLS, with a private certificate authority and client certificates.

use crate::project::{Project, finish, prepare, step};
use crate::services::Server;
use bue_test_support::authority::{Authority, Valid, self_signed};

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
    assert!(!hub.stderr().contains("warning"), "it reaches the bucket: {}", hub.stderr());
    let worker = Server::start(project.folder(), &["worker", "-b", &hub.address]);
    let run = project.bue_writes(&["upload", "-b", &hub.address, "-f", "example.bue", "--wait"]).expect_code(0);
    let run = run.run_id();
    assert_eq!(project.bue_writes(&["result", "-b", &hub.address, &run]).expect_code(0).stdout.len(), 100_003);

    // from another folder, with flags
    let other = Project::new(&[("ca.pem", &authority.root)]);
    certified(&other, &authority, "me", "me");
    let flags = ["--ca", "ca.pem", "--client-cert", "me.pem", "--client-key", "me.key"];
    let status = |flags: &[&str]| other.bue_writes(&[&["status", "-b", &hub.address], flags].concat());
    status(&flags).expect_code(0);
    status(&flags[..2]).expect_code(3).expect_stderr(&["asks for a client certificate", "--client-cert FILE"]);
    status(&flags[2..]).expect_code(3).expect_stderr(&["authority", "--ca FILE"]);
    status(&["--ca", "nowhere.pem"]).expect_code(2).expect_stderr(&["nowhere.pem"]);
    let mut half = other.command(&["status", "-b", &hub.address]);
    half.env("BUE_CLIENT_CERT", "me.pem");
    finish(half).expect_code(2).expect_stderr(&["BUE_CLIENT_KEY"]);
    let plain = hub.address.replace("https://", "");
    other.bue(&["status", "-b", &plain]).expect_code(3).expect_stderr(&["speaks TLS", "https://HOST:PORT"]);
    let refused = other.bue(&["worker", "-b", &hub.address, "--ca", "ca.pem"]);
    refused.expect_code(3).expect_stderr(&["the hub refused this worker", "--client-cert FILE"]);
    assert!(hub.stderr().contains("presented no certificate"), "{}", hub.stderr());
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

#[test]
fn a_server_without_its_key_does_not_start() {
    let project = Project::new(&[("ca.pem", &Authority::new().root)]);
    for verb in ["hub", "bucket"] {
        let start = |flags: &[&str]| project.bue(&[&[verb, "-b", "127.0.0.1:0"], flags].concat()).expect_code(2);
        start(&["--tls-cert", "ca.pem"]).expect_stderr(&["--tls-cert FILE --tls-key FILE"]);
        start(&["--tls-client-ca", "ca.pem"]).expect_stderr(&["--tls-cert FILE --tls-key FILE"]);
        start(&["--tls-cert", "ca.pem", "--tls-key", "nowhere"]).expect_stderr(&["nowhere"]);
        start(&["--tls-cert", "ca.pem", "--tls-key", "ca.pem"]).expect_stderr(&["ca.pem", "key"]);
    }
}

/// `openssl req -x509` makes such certificates.
#[test]
fn a_certificate_of_an_authority_is_not_one_of_a_server() {
    let (certificate, key) = self_signed("127.0.0.1");
    let project = Project::new(&[("server.pem", &certificate), ("server.key", &key)]);
    let flags = ["--tls-cert", "server.pem", "--tls-key", "server.key"];
    let hub =
        Server::start(project.folder(), &[&["hub", "-b", "127.0.0.1:0", "-k", "127.0.0.1:1"], &flags[..]].concat());
    let status = project.bue(&["status", "-b", &hub.address, "--ca", "server.pem"]);
    status.expect_code(3).expect_stderr(&["of a certificate authority", "CA:FALSE"]);
    hub.stop();
}
