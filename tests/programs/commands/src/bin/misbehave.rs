//! Misbehaves in the way that its first input names.

use std::io::Read;
use std::process::exit;

fn main() {
    let mut inputs = String::new();
    std::io::stdin().read_to_string(&mut inputs).expect("inputs");
    match inputs.trim_matches(['[', ']', '"']) {
        "fail" => {
            eprintln!("the file has no rows");
            exit(3);
        }
        "silent" => exit(4),
        "exit" => exit(0),
        "talk" => println!("hello there"),
        "panic" => panic!("nothing is as it should be"),
        "loop" => loop {
            std::hint::black_box(1);
        },
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(1_000_000)),
        "memory" => {
            let all: Vec<Vec<u8>> = (0..100_000).map(|_| vec![1; 1 << 20]).collect();
            println!("{}", all.len());
        }
        "flood" => loop {
            println!("{}", "1".repeat(10_000));
        },
        "shout" => loop {
            eprintln!("{}", "1".repeat(10_000));
        },
        "world" => {
            let file = std::fs::read("/etc/passwd").is_ok();
            println!("[{}, {}, {file}]", std::env::vars().count(), std::env::args().count());
        }
        other => panic!("{other}"),
    }
}
