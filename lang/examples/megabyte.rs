//! Measures how long a megabyte of script takes, for ordinary and for hostile scripts:
//! `cargo run --release -p bue-lang --example megabyte`. Prints the best of five runs; on Linux the CPU time, which does not depend
//! on the load of the machine.
#![expect(clippy::print_stdout, reason = "it prints its measurements")]

use std::time::{Duration, Instant};

use bue_lang::{Script, compile, format};

/// Bytes of each text.
const LENGTH: usize = 1 << 20;

fn main() {
    println!("{:<28}{:>12}{:>12}", "a megabyte of", "read, ms", "formatted");
    for (name, text) in texts() {
        let script = Script { path: "x.bue", text: &text };
        let read = best(|| compile(script).diagnostics.len());
        let formatted = best(|| format(script).is_ok());
        println!("{name:<28}{:>12.1}{:>12.1}", milliseconds(read), milliseconds(formatted));
    }
}

fn texts() -> Vec<(&'static str, String)> {
    let many = |piece: &str| piece.repeat(LENGTH / piece.len());
    let long_names: String = (0..LENGTH / 400).map(|at| format!("{}{at}()\n", "n".repeat(190))).collect();
    let steps: String =
        (0..LENGTH / 56).map(|at| format!("step{at}:\n    python\n    load\n    steps.py\nstep{at}()\n")).collect();
    let pipes = "import python (a, b, c) steps.py\np = a | b | c\n".to_owned() + &many("r = p()\nc(r, p(r))\n");
    let nested: String = (0..LENGTH / 64).map(|at| format!("{}for x in p():\n", "    ".repeat(at % 40))).collect();
    vec![
        ("steps and calls", steps),
        ("calls", pipes),
        ("code", format!("a:\n    python\n    a\n    `\n{}    `\na()\n", many("    x = [1, 2, 3] # and more\n"))),
        ("comments", many("# a comment of the usual length\n")),
        ("(", format!("p{}", many("("))),
        ("`", many("`")),
        ("unclosed fences", many("`` ` ")),
        ("nested loops", nested),
        ("loops side by side", many("for x in p():\n    q(x)\n")),
        ("long names", long_names),
        ("one name", many("n")),
        ("9**", format!("!timeout {}9", many("9**"))),
        ("wide characters", many("日本語の名前()\n")),
        ("unknown names", (0..LENGTH / 12).map(|at| format!("name{at}()\n")).collect()),
    ]
}

fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let once = |_| {
        let (started, before) = (Instant::now(), cpu_time());
        std::hint::black_box(work());
        let elapsed = started.elapsed();
        // CPU time is counted in ticks of some milliseconds; a shorter run was hardly interrupted
        let cpu = cpu_time().zip(before).map(|(after, before)| after.saturating_sub(before));
        cpu.filter(|cpu| !cpu.is_zero()).unwrap_or(elapsed)
    };
    (0..5).map(once).min().unwrap_or_default()
}

/// The CPU time of this thread so far.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
