//! `GRAMMAR.md` names programs of the suite for each rule; the parser must accept them.

use std::collections::HashMap;

use bue_lang::{Script, compile};

use crate::common::here;
use crate::suite;

#[test]
fn every_rule_has_programs_that_compile_without_an_error() {
    let texts: HashMap<String, String> =
        suite::programs().into_iter().map(|case| (case.name.clone(), case.program())).collect();
    let mut rules = 0;
    for block in ebnf_blocks() {
        for rule in rules_of(&block) {
            rules += 1;
            let programs = programs_of(&rule);
            assert!(!programs.is_empty(), "a rule names no program: {rule}");
            for program in programs {
                let text = texts.get(&program).unwrap_or_else(|| panic!("{program} is not in the suite: {rule}"));
                let compiled = compile(Script { path: &program, text });
                assert!(compiled.plan.is_some(), "{program}: {:?}", compiled.diagnostics);
            }
        }
    }
    assert!(rules > 30, "only {rules} rules were found in the grammar");
}

fn ebnf_blocks() -> Vec<String> {
    let grammar = std::fs::read_to_string(here().join("GRAMMAR.md")).expect("the grammar");
    grammar
        .split("```ebnf\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block.to_owned())
        .collect()
}

/// A rule ends with the comment that names its programs; alternatives on separate lines have one each.
fn rules_of(block: &str) -> Vec<String> {
    let mut rules = Vec::new();
    let mut rule = String::new();
    for line in block.lines().filter(|line| !line.is_empty()) {
        rule.push_str(line);
        if line.ends_with("*)") {
            rules.push(core::mem::take(&mut rule));
        }
    }
    assert_eq!(rule, "", "the last rule names no programs");
    rules
}

fn programs_of(rule: &str) -> Vec<String> {
    let comment = rule.rsplit_once("(*").and_then(|(_, comment)| comment.strip_suffix("*)")).unwrap_or_default();
    comment.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}
