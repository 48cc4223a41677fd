//! Compiling a module takes seconds, in one process at a time.

use std::fs;

use bue_test_support::wait::wait_until;

use super::{Services, WorkerOptions, count, expect_others_get_on, upload};

/// A valid command of so many functions, which differ from those of another `seed`.
fn module_of(functions: u32, seed: u32) -> Vec<u8> {
    let (mut types, mut bodies) = (leb128(functions), leb128(functions));
    for function in 0..functions {
        types.push(0);
        // no locals; some arithmetic for the compiler
        let mut body = vec![0];
        for round in 0..20 {
            body.extend([0x41].into_iter().chain(leb128((seed * 31 + function + round) & 0x3f)));
            body.extend([0x41, 3, 0x6c, 0x1a]);
        }
        body.push(0x0b);
        bodies.extend(leb128(u32::try_from(body.len()).expect("short")));
        bodies.extend(body);
    }
    let exports = [&[2, 6], &b"memory"[..], &[2, 0, 6], b"_start", &[0, 0]].concat();
    let sections = [(1, vec![1, 0x60, 0, 0]), (3, types), (5, vec![1, 0, 1]), (7, exports), (10, bodies)];
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in sections {
        module.push(id);
        module.extend(leb128(u32::try_from(content.len()).expect("short")));
        module.extend(content);
    }
    module
}

/// A number as WebAssembly encodes it.
fn leb128(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// Test P.
#[test]
fn modules_that_wait_for_the_compiler_delay_no_other_steps() {
    const MODULES: u32 = 40;
    let services = Services::start(WorkerOptions::default());
    let project = services.project(&[]);
    let mut script = String::new();
    for module in 0..MODULES {
        fs::write(project.path(&format!("m{module}.wasm")), module_of(20_000, module)).expect("a file");
        script += &format!("import wasm (_start as m{module}) m{module}.wasm\nm{module}()\n");
    }
    project.write("x.bue", &script);
    let run = upload(&project);
    let ended = || count(&project, &run, "completed") + count(&project, &run, "failed");
    wait_until("the first module is compiled", || ended() > 0);
    expect_others_get_on(&services);
    println!("{} of {MODULES} modules were compiled", ended());
    assert!(ended() < u64::from(MODULES), "the modules were compiled too fast to delay anything");
    project.bue(&["cancel", &run]).expect_code(0);
    services.stop();
}
