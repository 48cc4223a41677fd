use super::format;
use crate::source::Script;

fn formatted(text: &str) -> String {
    format(Script { path: "x.bue", text }).unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"))
}

#[test]
fn blanks_are_normalized() {
    let wild = "a:\n  python   # why\n  f\n  x.py\n\n\n\n\np=a|a\n q =( a|\n |a   )\nr=p( )\nfor  x  in  q(r , r) :\n\tp(x)   \n  # inside\n# outside\np()";
    let tame = "\
a:
    python  # why
    f
    x.py


p = a | a
q = (a |
    | a)
r = p()
for x in q(r, r):
    p(x)
    # inside
# outside
p()
";
    assert_eq!(formatted(wild), tame);
}

#[test]
fn allowed_values_of_parameters_are_no_call() {
    let wild = "import python (f,param) x.py\nparam a:int=3(1..10)\nparam b : text( 'x','y' )\nf( a,b )\nparam({'a': 1},f(a, b))\n";
    let tame = "\
import python (f, param) x.py
param a: int = 3 (1..10)
param b: text ('x', 'y')
f(a, b)
param({'a': 1}, f(a, b))
";
    assert_eq!(formatted(wild), tame);
}

#[test]
fn imports_and_settings_keep_their_values() {
    let wild = "$one\n!timeout  60*  2\n@5/2\nimport python(f as a   !9   $ two,g)x y.py\na()\ng()\n";
    let tame = "$ one\n!timeout 60*  2\n@ 5/2\nimport python (f as a !9 $ two, g) x y.py\na()\ng()\n";
    assert_eq!(formatted(wild), tame);
}

#[test]
fn brackets_of_pipes_and_sources_of_loops_have_standard_space() {
    let wild = "import python (f,g) x.py\np=f|[ f|g ]|g\nq=[f|g]\np()\nq([1])\nfor x  in f()+g( )!chunk  64!window  9 :\n    f(x)\n\
                all=[f(x,y)for x ,y in zip longest( f(),g())]\nf(all)\n";
    let tame = "\
import python (f, g) x.py
p = f | [f | g] | g
q = [f | g]
p()
q([1])
for x in f() + g() !chunk 64 !window 9:
    f(x)
all = [f(x, y) for x, y in zip longest(f(), g())]
f(all)
";
    assert_eq!(formatted(wild), tame);
}

#[test]
fn code_is_kept() {
    let text = "a:\n  sqlite3\n  t\n  `\n  select   1\n\n\n\n\n  `   #  done\na()\n";
    assert_eq!(formatted(text), "a:\n    sqlite3\n    t\n    `\n  select   1\n\n\n\n\n  `  #  done\na()\n");
}

#[test]
fn a_script_with_errors_is_not_changed() {
    assert!(format(Script { path: "x.bue", text: "p(" }).is_err());
}
