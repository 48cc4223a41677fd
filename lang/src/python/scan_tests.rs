use super::scope::{Import, Scope, ScopeName};
use super::scopes;

fn scan(source: &str) -> Vec<Scope> {
    scopes(source).expect("Python")
}

/// The certain imports, as `scope: level module names`.
fn certain_imports(source: &str) -> Vec<String> {
    let line = |scope: &Scope, import: &Import| {
        let scope = match &scope.name {
            ScopeName::Module => String::new(),
            ScopeName::Function(name) => format!("{name}: "),
            ScopeName::Method(class, name) => format!("{class}.{name}: "),
        };
        format!("{scope}{} {} {}", import.level, import.module, import.names.join(" ")).trim_end().to_owned()
    };
    let scopes = scan(source);
    let imports = scopes.iter().flat_map(|scope| scope.imports.iter().map(move |import| (scope, import)));
    imports.filter(|(_, import)| import.is_certain).map(|(scope, import)| line(scope, import)).collect()
}

fn calls(source: &str) -> Vec<String> {
    let scopes = scan(source);
    let calls = scopes.iter().flat_map(|scope| &scope.calls).filter(|call| call.is_certain);
    calls.map(|call| format!("{} {}", call.function, call.argument.as_deref().unwrap_or("-"))).collect()
}

#[test]
fn imports_are_found_at_any_depth() {
    let source = "import a, b.c as d\ndef f():\n    try:\n        from ..x import y, z as w\n    except ImportError:\n\
                  \x20       from . import q\nclass C:\n    if True:\n        from m import *\n# import no\ns = 'import no'\n";
    let scopes = scan(source);
    let imports: Vec<_> = scopes
        .iter()
        .flat_map(|scope| &scope.imports)
        .map(|import| (import.level, import.module.as_str(), import.names.join(" ")))
        .collect();
    let expected = [(0, "a", ""), (0, "b.c", ""), (0, "m", "*"), (2, "x", "y z"), (1, "", "q")];
    assert_eq!(imports, expected.map(|(level, module, names)| (level, module, names.to_owned())));
    assert!(scopes[0].imports[1].range == (10..18), "{scopes:?}");
    assert!(super::scopes("import a\ndef f(:").is_err());
}

#[test]
fn an_import_is_certain_if_it_is_always_executed_and_nothing_catches_its_failure() {
    for source in [
        "import a",
        "try:\n    import a\nfinally:\n    pass",
        "with x:\n    import a",
        "for x in y:\n    import a",
        "class C:\n    import a",
        "try:\n    pass\nexcept E:\n    pass\nimport a",
        "for x in y:\n    if x:\n        break\nimport a",
    ] {
        assert_eq!(certain_imports(source), ["0 a"], "{source}");
    }
    for source in [
        "try:\n    import a\nexcept ImportError:\n    a = None",
        "try:\n    pass\nexcept E:\n    import a",
        "try:\n    pass\nexcept E:\n    pass\nelse:\n    import a",
        "if TYPE_CHECKING:\n    import a",
        "if __name__ == '__main__':\n    import a",
        "if x:\n    pass\nelse:\n    import a",
        "with contextlib.suppress(ImportError):\n    import a",
        "match x:\n    case 1:\n        import a",
        "for x in y:\n    if x:\n        continue\n    import a",
        "raise x\nimport a",
    ] {
        assert_eq!(certain_imports(source), [] as [&str; 0], "{source}");
    }
    assert_eq!(
        certain_imports("def f():\n    import a\nclass C:\n    def m(self):\n        import b"),
        ["f: 0 a", "C.m: 0 b"]
    );
    assert_eq!(certain_imports("def f():\n    if x:\n        return 1\n    import a"), [] as [&str; 0]);
    assert_eq!(certain_imports("def f():\n    for x in y:\n        return 1\n    import a"), [] as [&str; 0]);
}

#[test]
fn calls_have_the_names_that_they_were_imported_under() {
    for (source, expected) in [
        ("open('x')", "open x"),
        ("import io as i\ni.open('x', 'w')", "io.open x"),
        ("from subprocess import run as r\nr(['ls'])", "subprocess.run -"),
        ("import os.path\nos.system('ls')", "os.system ls"),
    ] {
        assert_eq!(calls(source), [expected], "{source}");
    }
    assert_eq!(calls("from pathlib import Path\nPath('x').open()"), ["pathlib.Path().open x", "pathlib.Path x"]);
    for source in [
        "def open(x): pass\nopen('x')",
        "open = f\nopen('x')",
        "def f(open):\n    open('x')",
        "from .files import open\nopen('x')",
        "x = lambda: open('x')",
        "x = open('x') if y else z",
        "y and open('x')",
        "try:\n    import a as o\nexcept E:\n    import b as o\no('x')",
    ] {
        assert_eq!(calls(source), [] as [&str; 0], "{source}");
    }
}

#[test]
fn the_names_that_a_function_uses_include_what_they_were_imported_as() {
    let scopes = scan("from helpers import fetch as get\ndef f(api):\n    get(api.rows)\n    if api:\n        other()");
    let names: Vec<&str> = scopes[1].names.iter().map(String::as_str).collect();
    assert_eq!(names, ["api", "fetch", "get", "helpers", "rows"]);
}

#[test]
fn hostile_nesting_is_not_scanned() {
    assert!(scan(&"(".repeat(20_000)).is_empty());
}
