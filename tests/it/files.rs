//! `!files`: files that are packed with steps, from the script to the step that opens them, here and on a worker.

use std::os::unix::fs::symlink;

use serde_json::json;
use tempfile::TempDir;

use crate::project::{Project, prepare};
use crate::services::{Server, client};

const STEPS: &str = "import csv, os, pathlib\n\
     def read(name='north.csv'):\n    \
         with open('data/north.csv', newline='') as file:\n        \
             rows = list(csv.reader(file))\n    \
         text = (pathlib.Path(__file__).parent / 'query.sql').read_text()\n    \
         return [rows, text, sorted(os.listdir('data')), os.path.exists('secret.txt')]\n\
     def change():\n    \
         try:\n        \
             open('query' + '.sql', 'w')\n    \
         except OSError as error:\n        \
             return error.errno\n";
const SCRIPT: &str = "!files data/*.csv, query.sql\nimport python (read, change) steps.py\nread()\nchange()\n";
const FILES: [(&str, &str); 5] = [
    ("steps.py", STEPS),
    ("data/north.csv", "id,name\n1,a\n"),
    ("data/south.csv", "id\n"),
    ("data/notes.txt", "not packed"),
    ("query.sql", "SELECT 1"),
];

fn project(script: &str) -> Project {
    let project = Project::new(&FILES);
    project.write("secret.txt", "not packed");
    project.write("x.bue", script);
    project
}

#[test]
fn packed_files_are_in_the_steps_working_directory_and_read_only() {
    let read = json!([[["id", "name"], ["1", "a"]], "SELECT 1", ["north.csv", "south.csv"], false]);
    let here = project(SCRIPT);
    assert_eq!(here.run().expect_code(0).values(), [read.clone(), json!(69)]);

    let folder = TempDir::new().expect("a folder");
    let bucket = Server::start(&folder, &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0"]);
    let worker = Server::start(&folder, &["worker", "-b", &hub.address, "-k", &bucket.address]);
    here.write("bue.toml", &client(&hub, &bucket));
    let run = here.bue(&["upload", "-f", "x.bue", "--wait"]).expect_code(0).run_id();
    assert_eq!(here.bue(&["result", &run, "--json"]).expect_code(0).values()[0], read);
    [worker, hub, bucket].into_iter().for_each(Server::stop);
}

#[test]
fn files_that_cannot_be_packed_are_reported_before_anything_runs() {
    prepare();
    let outside = TempDir::new().expect("a folder");
    std::fs::write(outside.path().join("id_rsa"), "secret").expect("a file");
    for (files, words) in [
        ("*.parquet", ["`!files *.parquet`", "there is no such file"]),
        ("data", ["`!files data`", "there is no such file"]),
        ("link", ["`!files link`", "leads out of the script's folder"]),
        ("large", ["`!files` have more than 16 MiB", "pack less"]),
    ] {
        let project = project(&SCRIPT.replace("data/*.csv", &format!("data/*.csv, {files}")));
        symlink(outside.path().join("id_rsa"), project.path("link")).expect("a link");
        project.write("large", &"x".repeat(17 * 1024 * 1024));
        project.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&words);
        if files != "large" {
            project.bue(&["check", "x.bue"]).expect_code(1).expect_stderr(&["error[E0050]", words[0]]);
        }
    }
}

#[test]
fn a_file_that_is_not_packed_is_reported_with_the_line_to_write() {
    let project = project("import python (read) steps.py\nread()\n");
    project.bue(&["check", "x.bue"]).expect_code(1).expect_stderr(&["error[E0064]", "write `!files data/north.csv`"]);
    project.write("steps.py", "def read():\n    name = 'data/north.csv'\n    return open(name).read()\n");
    project
        .bue(&["run", "x.bue"])
        .expect_code(1)
        .expect_stderr(&["FileNotFoundError", "write `!files data/north.csv` above"]);
}
