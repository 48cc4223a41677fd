//! The codes of all diagnostics, in one place. A code never changes its meaning; one that is no longer used is not given again.
//!
//! What each means, with a wrong and a right example, is in `docs/errors.md`.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $code;)*

        /// Every code with its title, in order.
        pub const CODES: &[(&str, &str)] = &[$(($code, $title)),*];
    };
}

codes! {
    // the file
    TOO_MANY = "E0001", "too many mistakes";
    TOO_LARGE = "E0002", "script too large";
    NOT_UNDERSTOOD = "E0003", "line not understood";
    OPEN_FENCE = "E0004", "code never closed";
    TEXT_AFTER_CODE = "E0005", "text behind code";
    BAD_HEADER = "E0006", "object at the top is not JSON";
    BAD_TAB = "E0007", "indentation unit not understood";
    BAD_DEDENT = "E0008", "indentation matches no block";
    TEXT_AFTER_STATEMENT = "E0009", "text behind a statement";
    // definitions
    BAD_NAME = "E0010", "name not allowed";
    DEFINED_TWICE = "E0011", "defined twice";
    UNKNOWN_LANGUAGE = "E0012", "unknown language";
    STEP_INCOMPLETE = "E0013", "step incomplete";
    STEP_TOO_LONG = "E0014", "step with too many lines";
    BAD_FUNCTION = "E0015", "function name not understood";
    NO_CODE = "E0016", "empty code or path";
    BAD_IMPORT = "E0017", "import not understood";
    BAD_CHAIN = "E0018", "pipe not understood";
    // settings
    UNKNOWN_SETTING = "E0020", "unknown setting";
    OLD_SPELLING = "E0021", "setting misspelt";
    BAD_SCOPE = "E0022", "scope not allowed";
    BAD_INTEGER = "E0023", "whole number needed";
    BAD_EXPRESSION = "E0024", "arithmetic not understood";
    BAD_RESULT = "E0025", "arithmetic without a usable result";
    BAD_DURATION = "E0026", "duration not understood";
    BAD_RATE = "E0027", "rate not understood";
    BAD_ALLOW = "E0028", "permission not understood";
    BAD_REQUIREMENT = "E0029", "requirement not understood";
    // calls and loops
    UNKNOWN_STEP = "E0030", "unknown step in a pipe";
    UNKNOWN_TARGET = "E0031", "unknown pipe or step called";
    UNKNOWN_RESULT = "E0032", "unknown result";
    RESULT_BELOW = "E0033", "result used above its call";
    RESULT_ENDED = "E0034", "result used behind its loop";
    NOT_A_RESULT = "E0035", "not a result";
    BAD_CALL = "E0036", "call not understood";
    BAD_LOOP = "E0037", "loop not understood";
    EMPTY_LOOP = "E0038", "loop without a body";
    BAD_GATHER = "E0039", "gathering loop not understood";
    TOO_DEEP = "E0040", "nested too deep";
    PLAN_TOO_LARGE = "E0041", "plan too large";
    // files and functions
    NO_FILE = "E0050", "file not found";
    NO_FUNCTION = "E0051", "function not found";
    PYTHON_SYNTAX = "E0052", "Python not understood";
    WRONG_INPUTS = "E0053", "wrong number of inputs";
    NOT_TEXT = "E0054", "not a text file";
    SQL_SYNTAX = "E0055", "SQL not understood";
    NOT_BUILT = "E0056", "compiled step not usable";
    CODE_TO_BUILD = "E0057", "code that must be built";
    // packages
    NOT_LOCKED = "E0060", "packages not locked";
    PACKAGE_CANNOT_WORK = "E0061", "package that cannot work";
    BAD_REQUIREMENTS = "E0062", "requirements.txt not understood";
    // warnings
    UNUSED_STEP = "W0001", "step never used";
    UNUSED_PIPE = "W0002", "pipe never called";
    ODD_INDENT = "W0003", "unusual indentation";
    SET_TWICE = "W0004", "set twice";
    UNKNOWN_STEP_UNUSED = "W0005", "unknown step in a pipe nobody calls";
    SPACES_IN_NAME = "W0006", "several spaces in a name";
    COMMENT_IN_PATH = "W0007", "comment directly behind a path";
    TAG_ALONE = "W0008", "a tag limits nothing";
    NO_FILE_YET = "W0009", "file not found yet";
    PYTHON_SYNTAX_YET = "W0010", "code that is not Python yet";
    SQL_SYNTAX_YET = "W0011", "code that is not SQL yet";
    UNSERVED_SCOPE = "W0012", "scope that no worker serves";
    NOT_LOCKED_YET = "W0013", "packages not locked yet";
}
