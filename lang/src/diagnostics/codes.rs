//! The codes of all diagnostics. A code never changes its meaning, and the number of a removed code is not reused.
//!
//! `docs/errors.md` explains each, with a wrong and a right example.

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
    UNCLOSED_CODE = "E0004", "code never closed";
    TEXT_AFTER_CODE = "E0005", "text after code";
    INVALID_HEADER = "E0006", "object at the top is not JSON";
    INVALID_TAB = "E0007", "invalid indentation unit";
    UNMATCHED_INDENT = "E0008", "indentation matches no block";
    TEXT_AFTER_STATEMENT = "E0009", "text after a statement";
    // definitions
    INVALID_NAME = "E0010", "invalid name";
    DEFINED_TWICE = "E0011", "defined twice";
    UNKNOWN_LANGUAGE = "E0012", "unknown language";
    INCOMPLETE_STEP = "E0013", "incomplete step";
    STEP_TOO_LONG = "E0014", "step with too many lines";
    INVALID_FUNCTION = "E0015", "invalid function name";
    EMPTY_CODE = "E0016", "empty code or path";
    INVALID_IMPORT = "E0017", "invalid import";
    INVALID_PIPE = "E0018", "invalid pipe";
    INVALID_COLUMNS = "E0019", "invalid columns of a table";
    // settings
    UNKNOWN_SETTING = "E0020", "unknown setting";
    MISSPELT_SETTING = "E0021", "misspelt setting";
    INVALID_SCOPE = "E0022", "invalid scope";
    NOT_AN_INTEGER = "E0023", "not a whole number";
    INVALID_ARITHMETIC = "E0024", "invalid arithmetic";
    UNUSABLE_RESULT = "E0025", "arithmetic without a usable result";
    INVALID_DURATION = "E0026", "invalid duration";
    INVALID_RATE = "E0027", "invalid rate";
    INVALID_PERMISSION = "E0028", "invalid permission";
    INVALID_REQUIREMENT = "E0029", "invalid requirement";
    // calls and loops
    UNKNOWN_STEP = "E0030", "unknown step in a pipe";
    UNKNOWN_TARGET = "E0031", "unknown pipe or step called";
    UNKNOWN_RESULT = "E0032", "unknown result";
    RESULT_BEFORE_CALL = "E0033", "result used before its call";
    RESULT_AFTER_LOOP = "E0034", "result used after its loop";
    NOT_A_RESULT = "E0035", "not a result";
    INVALID_CALL = "E0036", "invalid call";
    INVALID_LOOP = "E0037", "invalid loop";
    EMPTY_LOOP = "E0038", "loop without a body";
    INVALID_GATHER = "E0039", "invalid gather";
    TOO_DEEP = "E0040", "nested too deep";
    PLAN_TOO_LARGE = "E0041", "plan too large";
    // columns of tables
    UNKNOWN_TYPE = "E0042", "unknown type of a column";
    COLUMN_DECLARED_TWICE = "E0043", "column declared twice";
    // values as arguments
    INVALID_LITERAL = "E0044", "invalid value";
    VALUE_OR_RESULT = "E0045", "value or result";
    // parameters
    INVALID_PARAM = "E0046", "invalid parameter";
    PARAM_TWICE = "E0047", "parameter declared twice";
    UNUSABLE_DEFAULT = "E0048", "unusable value in a declaration";
    // the rest of the settings
    INVALID_FILES = "E0049", "invalid path of files";
    // files and functions
    FILE_NOT_FOUND = "E0050", "file not found";
    FUNCTION_NOT_FOUND = "E0051", "function not found";
    INVALID_PYTHON = "E0052", "invalid Python";
    WRONG_INPUTS = "E0053", "wrong number of inputs";
    NOT_TEXT = "E0054", "not a readable text file";
    INVALID_SQL = "E0055", "invalid SQL";
    NOT_BUILT = "E0056", "unusable compiled step";
    INLINE_COMPILED_CODE = "E0057", "inline code in a compiled language";
    // two more settings
    INVALID_AT_MOST = "E0058", "invalid limit of running jobs";
    INVALID_KEYWORDS = "E0059", "invalid keyword argument";
    // packages
    NOT_LOCKED = "E0060", "packages not locked";
    PACKAGE_CANNOT_RUN = "E0061", "package that cannot run in a sandbox";
    INVALID_REQUIREMENTS_FILE = "E0062", "invalid requirements.txt";
    // what code imports and opens
    UNUSABLE_IMPORT = "E0063", "import that cannot work";
    NO_FILES = "E0064", "file that a step cannot open";
    NO_PROCESSES = "E0065", "process that a step cannot start";
    // handlers, the end of a run, soft timeouts
    INVALID_HANDLER = "E0066", "invalid handler of failures";
    INVALID_FINALLY = "E0067", "invalid finally";
    INVALID_SOFT_TIMEOUT = "E0068", "invalid soft timeout";
    // values of the bucket
    VALUE_NOT_ALLOWED = "E0069", "value that a step may not use";
    // values of parameters
    MISSING_ARGUMENT = "E0070", "parameter without a value";
    UNKNOWN_PARAM = "E0071", "unknown parameter";
    UNUSABLE_ARGUMENT = "E0072", "unusable value for a parameter";
    // steps that run as one job, and what loops run over
    INVALID_FUSION = "E0080", "steps that cannot run as one job";
    INVALID_SOURCE = "E0081", "invalid source of a loop";
    INVALID_CHUNK = "E0082", "invalid chunk";
    INVALID_WINDOW = "E0083", "invalid window";
    // warnings
    UNUSED_STEP = "W0001", "step never used";
    UNUSED_PIPE = "W0002", "pipe never called";
    ODD_INDENT = "W0003", "unusual indentation";
    SET_TWICE = "W0004", "set twice";
    UNKNOWN_STEP_UNCALLED = "W0005", "unknown step in an uncalled pipe";
    SPACES_IN_NAME = "W0006", "several spaces in a name";
    COMMENT_IN_PATH = "W0007", "comment directly after a path";
    TAG_WITHOUT_EFFECT = "W0008", "tag without effect";
    // W0009, W0010, W0011 and W0013 were the warnings of `bue check` where `bue run` had E0050, E0052, E0055 and E0060
    UNSERVED_SCOPE = "W0012", "scope that no worker serves";
    UNUSED_PARAM = "W0014", "parameter never used";
}
