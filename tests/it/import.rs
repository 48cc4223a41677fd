//! `bue import`: YAML of PypeLine becomes scripts and schedules that work; what has no counterpart is reported, and nothing is
//! written if there is a mistake.

use std::fs;
use std::path::Path;

use bue_test_support::wait::wait_until;
use serde_json::{Value, json};

use crate::project::{CommandOutput, Project};
use crate::verbs::Services;

/// A project on Celery: a package with its YAML inside.
const SERMOS: &str = "\
serviceConfig:
  - name: stock-worker
    registeredTasks:
      - handler: stock.tasks.count
      - handler: stock.tasks.price
      - handler: stock.tasks.report
      - handler: stock.tasks.refresh
        event:
          source: ${STOCK_SOURCE:north}
          pages: 2
      - handler: stock.tasks.audit
pipelines:
  stock-report:
    name: Stock of a day
    description: Counts and prices.
    schemaVersion: 1
    config:
      metadata:
        queue: ${STOCK_QUEUE:stock}
        processorQueue: celery
        maxRetry: 4
        maxTtl: 90
        retryBackoff: 5
        retryBackoffMax: 600
        retryJitter: false
      dagAdjacency:
        count: [report]
        price: [report]
        alone: []
      taskDefinitions:
        report:
          handler: stock.tasks.report
          maxTtl: 300
        count:
          handler: stock.tasks.count
        price:
          handler: stock.tasks.price
          queue: prices
        alone:
          handler: stock.tasks.count
scheduledTasks:
  refresh-stock:
    name: Refresh the stock
    enabled: true
    schemaVersion: 1
    config:
      scheduleType: interval
      task: stock.tasks.refresh
      queue: stock
      exchange: tasks
      routingKey: task.stock
      expires: 120
      schedule:
        every: 1
        period: seconds
  weekly:
    name: Weekly
    enabled: no
    schemaVersion: 1
    config:
      scheduleType: crontab
      task: stock.tasks.count
      queue: stock
      schedule:
        minute: '30'
        hour: '6'
        dayOfWeek: '1'
        dayOfMonth: '1-7'
        monthOfYear: '*'
";

const STOCK: &str = "\
from stock.shared import label


def count(event):
    return label('count', event.get('chain_payload'))


def price(event):
    return label('price', event['pipeline_id'] if event else None)


def report(event):
    return event['chain_payload']['day']


def refresh(event):
    return [event['source'], event['pages']]


def audit(event):
    return event
";

fn sermos() -> Project {
    Project::new(&[
        ("stock/__init__.py", "__version__ = '1'\n"),
        ("stock/sermos.yaml", SERMOS),
        ("stock/tasks.py", STOCK),
        ("stock/shared.py", "def label(name, value):\n    return [name, value]\n"),
        ("stock/unused.py", "import pypeline\n"),
    ])
}

fn import(project: &Project, arguments: &[&str]) -> CommandOutput {
    project.bue_writes(&[&["import"], arguments].concat())
}

fn read(project: &Project, path: &str) -> String {
    fs::read_to_string(project.path(path)).expect("a file that was written")
}

/// Writes a `pypeline.yaml`, imports it, and returns the report.
fn report_of(yaml: &str, more: &[&str]) -> (Project, Value) {
    let project = Project::new(&[("pypeline.yaml", yaml)]);
    let output = import(&project, &[&["pypeline.yaml", "-o", "out", "--json"], more].concat());
    let json = output.json();
    (project, json)
}

#[test]
fn a_project_on_celery_is_imported_published_scheduled_and_run() {
    let services = Services::new("");
    let project = sermos();
    for file in ["stock/__init__.py", "stock/sermos.yaml", "stock/tasks.py", "stock/shared.py"] {
        services.project.write(file, &read(&project, file));
    }
    let output = import(&services.project, &["stock/sermos.yaml", "-o", "out"]).expect_code(0);
    output.expect_stderr(&[
        "PypeLine on Celery",
        "bue schedule apply out/schedules.toml",
        "--scopes stock,prices,default",
    ]);
    let scripts = ["out/stock-report.bue", "out/refresh-stock.bue", "out/weekly.bue", "out/audit.bue"];
    services.bue(&[&["check"], &scripts[..]].concat()).expect_code(0);
    assert_eq!(services.bue(&[&["fmt", "--check"], &scripts[..]].concat()).expect_code(0).stdout, "");
    for script in scripts {
        services.bue(&["publish", script]).expect_code(0);
    }
    let _worker = services.worker("stock,prices,default");
    let invoke = ["invoke", "stock-report", r#"chain_payload={"day": "2026-11-01"}"#, "--wait", "--json"];
    let values = services.bue(&invoke).expect_code(0).values();
    let count = json!(["count", {"day": "2026-11-01"}]);
    assert_eq!(values, [count.clone(), json!(["price", "stock-report"]), json!("2026-11-01"), count]);

    services.bue(&["schedule", "apply", "out/schedules.toml"]).expect_code(0);
    let show = || services.bue(&["schedule", "show", "refresh-stock", "--json"]).expect_code(0).json();
    wait_until("a run of the schedule has completed", || {
        show()["recent"]["completed"].as_u64().is_some_and(|runs| runs > 0)
    });
    services.bue(&["schedule", "remove", "refresh-stock"]).expect_code(0);
    let runs = services.bue(&["pipeline", "refresh-stock", "--json"]).expect_code(0).json();
    let run =
        runs["runs"].as_array().and_then(|runs| runs.last()).expect("a run")["run"].as_str().expect("an id").to_owned();
    assert_eq!(services.bue(&["result", &run]).expect_code(0).stdout, "[\"north\",2]\n");
    services.bue(&["schedule", "show", "weekly"]).expect_code(1).expect_stderr(&["no schedule `weekly`"]);
}

#[test]
fn what_a_file_on_celery_says_is_in_the_scripts_or_in_a_warning() {
    let project = sermos();
    let json = import(&project, &["stock/sermos.yaml", "-o", "out", "--json"]).expect_code(0).json();
    assert_eq!(json["generation"], "Celery");
    let files = json["files"].as_array().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    let expected = [
        "out/audit.bue",
        "out/refresh-stock.bue",
        "out/schedules.toml",
        "out/stock-report.bue",
        "out/stock/__init__.py",
        "out/stock/shared.py",
        "out/stock/tasks.py",
        "out/weekly.bue",
    ];
    assert_eq!(files, expected);
    let script = read(&project, "out/stock-report.bue");
    for part in [
        "# Stock of a day\n# Counts and prices.\n",
        "param chain_payload: map = {}\n",
        "!scope stock\n!retries 4 after 5s..10m\n!timeout 90s\n",
        "    report !timeout 5m,\n",
        "    price !scope prices,\n",
        "report = report(chain_payload, count, price)\n",
        "alone = alone(chain_payload)\n",
    ] {
        assert!(script.contains(part), "{part}\n{script}");
    }
    let refresh = read(&project, "out/refresh-stock.bue");
    for part in [
        "param STOCK_SOURCE: text = \"north\"\n",
        "!scope stock\n!timeout 1h\n!expires 2m\n",
        "event={**{\"source\": STOCK_SOURCE, \"pages\": 2}, **event}",
    ] {
        assert!(refresh.contains(part), "{part}\n{refresh}");
    }
    // the function is in a pipeline, whose retries Celery takes
    assert!(read(&project, "out/weekly.bue").contains("!retries 4 after 5s..10m\n"));
    let schedules = read(&project, "out/schedules.toml");
    assert!(
        schedules.contains("[schedule.refresh-stock]\npipeline = \"refresh-stock\"\nevery = \"1s\"\n"),
        "{schedules}"
    );
    assert!(
        schedules.contains("# [schedule.weekly]\n# pipeline = \"weekly\"\n# cron = \"30 6 1-7 * +MON\"\n"),
        "{schedules}"
    );
    let warnings: Vec<(u64, &str)> = json["warnings"].as_array().expect("a list").iter().map(warning).collect();
    let expected = [
        (2, "`name` is not converted"),
        (11, "the queue of this task is unknown"),
        (19, "`queue` is the variable `${STOCK_QUEUE:stock}`, and is `stock`"),
        (20, "`processorQueue` is not converted"),
        (25, "`retryJitter` is not converted"),
        (50, "`exchange` is not converted"),
        (51, "`routingKey` is not converted"),
        (58, "this schedule is disabled"),
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for ((line, message), (expected_line, start)) in warnings.iter().zip(expected) {
        assert!(
            *line == expected_line && message.starts_with(start),
            "{line} {message}; expected {expected_line} {start}"
        );
    }
}

fn warning(warning: &Value) -> (u64, &str) {
    (warning["line"].as_u64().unwrap_or(0), warning["message"].as_str().expect("a text"))
}

/// A pipeline with schema 2, executable jobs and schedules of the second generation.
const PYPELINE: &str = "\
serviceConfig:
  - name: models
    registeredTasks:
      - handler: models.steps.load
      - handler: models.steps.fit
      - handler: models.steps.fit_slowly
      - handler: models.steps.forgotten
pipelines:
  fit model:
    name: Fit
    schemaVersion: 2
    config:
      metadata: {queue: fits, maxRetry: 0, maxTtl: 3600, groupName: Models}
      dagAdjacency:
        load-data: [fit]
      taskDefinitions:
        load-data: {handlers: [models.steps.load], serverType: xl}
        fit: {handlers: [models.steps.fit, models.steps.fit_slowly]}
        never: {handlers: [models.steps.load]}
      settings:
        required: [threshold, day]
        properties:
          threshold: {dataType: float, inputType: text, label: Threshold, placeholder: 0 to 1, minimum: 0.0, maximum: 1.0}
          day: {dataType: date, inputType: text, label: Day}
          mode:
            dataType: string
            inputType: dropdown
            label: Mode
            default: fast
            options: [{label: Fast, value: fast}, {label: Exact, value: exact}]
          note: {dataType: string, inputType: text, label: Note}
          depth: {dataType: int, inputType: radio, label: Depth, default: 1, options: [{label: One, value: 1}, {label: Two, value: 2}]}
          tags: {dataType: array, elementType: string, inputType: text, label: Tags, default: []}
          more:
            dataType: object
            inputType: custom
            component: Editor
            label: More
            default: {}
            properties: {x: {dataType: int, inputType: text, label: X}}
          where: {dataType: string, inputType: searchable, searchEndpoint: /places, label: Where, default: here}
scheduledTasks:
  hourly:
    name: hourly
    enabled: true
    schemaVersion: 1
    config:
      task: models.steps.tick
      queue: ticks
      broker: REDIS
      schedule: {minute: '0', hour: '*', dayOfWeek: 0-4, dayOfMonth: '*', monthOfYear: '*'}
executableJobs:
  rebuild:
    name: Rebuild
    enabled: false
    schemaVersion: 1
    config: {task: models.steps.rebuild, queue: rare, broker: RABBITMQ}
";

const MODELS: &str = "\
def load(settings):
    return sorted(settings)


def fit(settings):
    return [settings['day'], sorted(settings)]


def fit_slowly(settings):
    return ['slowly', settings['threshold'], settings.get('note')]


def forgotten(event):
    return None


def tick():
    return 'tick'


def rebuild(*args, **kwargs):
    return [list(args), kwargs]
";

#[test]
fn a_file_on_dramatiq_with_typed_settings_runs_with_parameters() {
    crate::project::prepare();
    let project = Project::new(&[("models/pypeline.yaml", PYPELINE), ("models/steps.py", MODELS)]);
    let json =
        import(&project, &["models/pypeline.yaml", "-o", ".", "--json", "--tz", "Europe/Berlin"]).expect_code(0).json();
    assert_eq!(json["generation"], "Dramatiq");
    assert!(!json["files"].to_string().contains("steps.py"), "the folder has the package");
    let script = read(&project, "fit-model.bue");
    for part in [
        "# Threshold (0 to 1)\nparam threshold: float (0.0..1.0)\n",
        "param day: date\n",
        "param mode: text = \"fast\" (\"fast\", \"exact\")\n",
        "param note: json = null\n",
        "param depth: int = 1 (1, 2)\n",
        "param tags: list = []\n",
        "param more: map = {}\n",
        "param fit_handler: int = 0 (0..1)\n",
        "!scope fits\n!timeout 1h\n",
        "    load_data !scope xl-fits,\n",
        "    # the node load-data\n",
        "fit = fit(settings, fit_handler, load_data)\n",
    ] {
        assert!(script.contains(part), "{part}\n{script}");
    }
    project.bue(&["check", "fit-model.bue", "hourly.bue", "rebuild.bue"]).expect_code(0);
    let run = |more: &[&str]| {
        let command = ["run", "fit-model.bue", "--json", "--param", "threshold=0.5", "--param", "day=2026-11-01"];
        project.bue(&[&command, more].concat()).expect_code(0).values()
    };
    let keys = ["day", "depth", "mode", "more", "tags", "threshold", "where"];
    assert_eq!(run(&[]).last(), Some(&json!(["2026-11-01", keys])));
    let other = run(&["--param", "fit_handler=1", "--param", "note=\"seen\""]);
    assert_eq!(other.last(), Some(&json!(["slowly", 0.5, "seen"])));
    assert_eq!(project.bue(&["run", "hourly.bue", "--json"]).expect_code(0).last(), "tick");
    let rebuild = ["run", "rebuild.bue", "--json", "--param", "args=[1]", "--param", "kwargs={\"deep\": true}"];
    assert_eq!(project.bue(&rebuild).expect_code(0).last(), json!([[1], {"deep": true}]));
    let schedules = read(&project, "schedules.toml");
    // APScheduler counts from Monday
    assert!(schedules.contains("cron = \"0 * * * MON-FRI\"\ntimezone = \"Europe/Berlin\"\n"), "{schedules}");
    assert!(read(&project, "hourly.bue").contains("!scope ticks\n!retries 3 after 15s..1h\n!timeout 10m\n"));
    let warnings = json["warnings"].to_string();
    for part in [
        "no pipeline, schedule or executable job has this registered task",
        "the pipeline of `fit model` is called `fit-model`",
        "this node has another name in the script",
        "the task `never` is not in `dagAdjacency`",
        "`groupName`",
        "`inputType`",
        "`elementType`",
        "`component`",
        "`properties`",
        "`searchEndpoint`",
        "the labels of `options`",
        "this optional setting has no default",
        "`broker`",
        "pipelines cannot be disabled",
        "counts the days of the week from Monday as 0",
    ] {
        assert!(warnings.contains(part), "{part}\n{warnings}");
    }
}

#[test]
fn mistakes_are_errors_with_a_place_and_nothing_is_written() {
    let base = "pipelines:\n  p:\n    schemaVersion: 1\n    config:\n      metadata: {queue: q}\n      taskDefinitions:\n        a: {handler: m.a}\n        b: {handler: m.b}\n        c: {handler: m.c}\n";
    let with_dag = |dag: &str| format!("{base}      dagAdjacency: {dag}\n");
    let schedule = |schedule: &str| {
        format!(
            "scheduledTasks:\n  s:\n    enabled: true\n    config:\n      scheduleType: crontab\n      task: m.a\n      queue: q\n      \
             schedule: {schedule}\n"
        )
    };
    let cron = |minute: &str| {
        schedule(&format!("{{minute: '{minute}', hour: '6', dayOfWeek: '*', dayOfMonth: '31', monthOfYear: '2'}}"))
    };
    let settings = |property: &str| {
        with_dag("{a: []}")
            .replace("schemaVersion: 1", "schemaVersion: 2")
            .replace("handler: m.a", "handlers: [m.a]")
            .replace("handler: m.b", "handlers: [m.b]")
            .replace("handler: m.c", "handlers: [m.c]")
            + &format!("      settings: {{required: [x], properties: {{x: {property}}}}}\n")
    };
    for (yaml, place, message) in [
        ("pipelines: [\n".to_owned(), (2, 1), "this is not valid YAML"),
        (String::new(), (1, 1), "the file is empty"),
        ("a: 1\na: 2\n".to_owned(), (2, 1), "the key `a` is there twice"),
        ("- a\n".to_owned(), (1, 1), "the file is a list, not a map"),
        ("serviceConfig: []\n".to_owned(), (0, 0), "the file has no pipelines"),
        (with_dag("{a: [b], b: [c], c: [a]}"), (10, 42), "the nodes form a cycle: a → b → c → a"),
        (with_dag("{a: [a]}"), (10, 26), "the nodes form a cycle: a → a"),
        (with_dag("{a: [bb]}"), (10, 26), "the node `bb` has no task in `taskDefinitions`"),
        (with_dag("{a: b}"), (10, 25), "the list of nodes after `a` is a single value, not a list"),
        (with_dag("{}"), (10, 21), "`dagAdjacency` has no nodes"),
        (with_dag("{a: []}").replace("m.a", "nodots"), (7, 22), "`handler` is `nodots`, which is not the path"),
        (with_dag("{a: []}").replace("{queue: q}", "{queue: q, maxRetry: three}"), (5, 38), "`maxRetry` is `three`"),
        (with_dag("{a: []}").replace("{queue: q}", "{queue: q, maxRetry: }"), (5, 36), "`maxRetry` has no value"),
        (with_dag("{a: []}").replace("{queue: q}", "{queue: 'a,b'}"), (5, 25), "the queue `a,b` cannot be a scope"),
        (with_dag("{a: []}").replace("{queue: q}", "{maxTtl: 5}"), (5, 17), "`metadata` has no `queue`"),
        (with_dag("{a: []}").replace("queue: q}", "queue: q, maxTtl: 0}"), (5, 36), "`maxTtl` is `0`"),
        (with_dag("{a: []}").replace("Version: 1", "Version: 3"), (3, 20), "there is no such version of the schema"),
        (
            with_dag("{a: []}").replace("{queue: q}", "\n        queue: ${Q}"),
            (6, 16),
            "the variable `Q` has no default",
        ),
        (cron("99"), (8, 26), "`minute` of the schedule is not valid"),
        (cron("0"), (2, 3), "`cron`: `0 6 31 2 *` matches no day of any year"),
        (
            schedule("{every: 5, period: fortnights}").replace("crontab", "interval"),
            (8, 36),
            "there is no period `fortnights`",
        ),
        (schedule("{every: 5000000, period: days}").replace("crontab", "interval"), (2, 3), "`every`"),
        (schedule("{every: 5}").replace("crontab", "interval"), (8, 17), "`schedule` has no `period`"),
        (schedule("{}").replace("enabled: true", "enabled: perhaps"), (3, 14), "`enabled` is `perhaps`"),
        (settings("{dataType: number}"), (11, 60), "there is no type `number`"),
        (settings("{dataType: int, default: many}"), (11, 74), "`\"many\"` does not fit the type int"),
        (settings("{dataType: int, minimum: 5, maximum: 2}"), (11, 86), "`maximum` is less than `minimum`"),
        (settings("{dataType: int}").replace("required: [x]", "required: [y]"), (11, 29), "there is no setting `y`"),
        (
            settings("{dataType: int, default: 9, options: [{label: a, value: 1}]}"),
            (11, 74),
            "the default `9` is none of the `options`",
        ),
        (settings("{dataType: float, default: 9, maximum: 1.5}"), (11, 76), "the default `9` is not between"),
        (settings("{dataType: date, default: soon}"), (0, 0), "the script of `p` would not be valid"),
    ] {
        let (project, json) = report_of(&yaml, &[]);
        let errors = json["errors"].as_array().expect("a list");
        let found = errors.iter().any(|error| {
            let at = (error["line"].as_u64().unwrap_or(0), error["column"].as_u64().unwrap_or(0));
            at == place && error["message"].as_str().is_some_and(|text| text.contains(message)) && error["hint"] != ""
        });
        assert!(found, "{place:?} {message}\n{yaml}\n{errors:#?}");
        assert!(!project.path("out").exists(), "{yaml}");
        assert_eq!(json["files"], json!([]));
    }
    let text = Project::new(&[("pypeline.yaml", &with_dag("{a: [a, bb]}"))]);
    let output = text.bue(&["import", "pypeline.yaml", "-o", "out"]).expect_code(1);
    assert_eq!(output.stdout, "");
    output.expect_stderr(&["  --> pypeline.yaml:10:26\n", "  hint: ", "bue: 2 errors; nothing was written"]);
    text.bue(&["import", "missing.yaml", "-o", "out"]).expect_code(2).expect_stderr(&["failed to read missing.yaml"]);
    text.bue(&["import", "pypeline.yaml", "-o", "out", "--var", "x"]).expect_code(2).expect_stderr(&["NAME=VALUE"]);
}

#[test]
fn a_bomb_of_aliases_and_a_huge_file_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")));
    }
    let (_, json) = report_of(&bomb, &[]);
    assert!(json["errors"][0]["message"].as_str().is_some_and(|text| text.contains("more than 16 MiB")), "{json}");
    let project = Project::new(&[("pypeline.yaml", &format!("# {}\n", "x".repeat(1_100_000)))]);
    import(&project, &["pypeline.yaml", "-o", "out"]).expect_code(2).expect_stderr(&["pypeline.yaml"]);
}

#[test]
fn keys_without_a_counterpart_and_unknown_keys_have_warnings() {
    let yaml = "\
imageConfig: []
environmentVariables: []
serviceConfig:
  - name: w
    serviceType: celery-worker
    replicaCount: 2
    concurrency: 4
    imageName: base
    accessKey: secret
    surprise: 1
    registeredTasks: []
pipelines:
  p:
    name: p
    schemaVersion: 1
    nmae: x
    config:
      metadata: {queue: q, maxRetries: 3}
      dagAdjacency: {a: []}
      taskDefinitions:
        a: {handler: m.a, maxRetry: 1}
scheduledTasks:
  soon:
    name: soon
    enabled: true
    schemaVersion: 1
    lastRunAt: ~
    totalRunCount: 5
    config: {scheduleType: clocked, task: m.a, queue: q, schedule: {at: noon}}
  fast:
    name: fast
    enabled: true
    schemaVersion: 1
    config: {scheduleType: interval, task: m.a, queue: q, schedule: {every: 500, period: microseconds}}
";
    let (_, json) = report_of(yaml, &[]);
    assert_eq!(json["errors"], json!([]));
    let warnings: Vec<(u64, &str)> = json["warnings"].as_array().expect("a list").iter().map(warning).collect();
    for (line, part) in [
        (1, "`imageConfig`"),
        (2, "`environmentVariables`"),
        (4, "`name`"),
        (5, "`serviceType`"),
        (6, "`replicaCount`"),
        (7, "`concurrency`"),
        (8, "`imageName`"),
        (9, "`accessKey`"),
        (10, "a service has the key `surprise`"),
        (16, "has the key `nmae`"),
        (18, "`metadata` has the key `maxRetries`"),
        (21, "the task `a` has the key `maxRetry`"),
        (21, "there is no m.py"),
        (27, "`lastRunAt`"),
        (28, "`totalRunCount`"),
        (29, "a schedule of the type `clocked` has no counterpart, and is left out"),
        (34, "the shortest time between two runs is a second"),
    ] {
        assert!(warnings.iter().any(|(at, text)| *at == line && text.contains(part)), "{line} {part}\n{warnings:#?}");
    }
    let hints = json["warnings"].to_string();
    assert!(hints.contains("did you mean `name`?") && hints.contains("did you mean `maxRetry`?"), "{hints}");
}

#[test]
fn variables_are_given_or_have_defaults() {
    let yaml = "\
pipelines:
  p:
    schemaVersion: 1
    config:
      metadata:
        queue: ${QUEUE}
        maxRetry: ${RETRIES:2}
      dagAdjacency: {a: []}
      taskDefinitions: {a: {handler: m.a}}
";
    let (project, json) = report_of(yaml, &["--var", "QUEUE=north"]);
    assert_eq!(json["errors"], json!([]));
    let script = read(&project, "out/p.bue");
    assert!(script.contains("!scope north\n!retries 2 after 15s..1h\n!timeout 10m\n"), "{script}");
    let (_, json) = report_of(yaml, &["--var", "QUEUE=north", "--var", "QUEEN=x"]);
    assert!(json["errors"].to_string().contains("the file has no variable `QUEEN`"), "{json}");
}

#[test]
fn existing_files_are_kept_unless_they_are_the_same() {
    let project = sermos();
    let arguments = ["stock/sermos.yaml", "-o", "out"];
    import(&project, &arguments).expect_code(0);
    project.bue(&[&["import"], &arguments[..]].concat()).expect_code(0);
    let script = read(&project, "out/weekly.bue");
    project.write("out/weekly.bue", "# mine\n");
    fs::remove_file(project.path("out/audit.bue")).expect("removed");
    let refused = project.bue(&[&["import"], &arguments[..]].concat()).expect_code(1);
    refused.expect_stderr(&["these files already exist: out/weekly.bue; nothing was written", "--force"]);
    assert_eq!(read(&project, "out/weekly.bue"), "# mine\n");
    import(&project, &[&arguments[..], &["--force"]].concat()).expect_code(0);
    assert_eq!(read(&project, "out/weekly.bue"), script);
    assert!(project.path("out/audit.bue").exists());
    fs::remove_file(project.path("out/audit.bue")).expect("removed");
    fs::create_dir(project.path("out/audit.bue")).expect("a folder");
    import(&project, &[&arguments[..], &["--force"]].concat()).expect_code(1).expect_stderr(&["these are folders"]);
}

#[test]
fn code_that_needs_pypeline_is_reported_with_its_line() {
    let yaml = "pipelines:\n  p:\n    schemaVersion: 1\n    config:\n      metadata: {queue: q}\n      dagAdjacency: {a: [b]}\n      \
                taskDefinitions: {a: {handler: work.steps.a}, b: {handler: work.steps.compile_al}}\n";
    let code = "import os\nfrom pypeline.utils.task_utils import PipelineRunWrapper\n\ndef a(event):\n    \
                return event['execution_id']\n\ndef compile_all(event):\n    return 1\n";
    let project = Project::new(&[("work/pypeline.yaml", yaml), ("work/steps.py", code)]);
    let json = import(&project, &["work/pypeline.yaml", "-o", "out", "--json"]).expect_code(0).json();
    let warnings = json["warnings"].to_string();
    for part in [
        "work/steps.py:2 imports PypeLine",
        "work/steps.py:5 uses `execution_id`",
        "work/steps.py defines no `compile_al`",
        "did you mean `compile_all`?",
    ] {
        assert!(warnings.contains(part), "{part}\n{warnings}");
    }
}

/// The page shows what comes out.
#[test]
fn the_documented_example_becomes_the_documented_files() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pypeline.md")).expect("the page");
    let block = |info: &str| {
        let (_, rest) = page.split_once(&format!("```{info}\n")).expect("a block");
        rest.split("```").next().unwrap_or_default().to_owned()
    };
    let project = Project::new(&[
        ("orders/sermos.yaml", &block("yaml orders/sermos.yaml")),
        ("orders/tasks.py", &block("python orders/tasks.py")),
    ]);
    import(&project, &["orders/sermos.yaml", "-o", "nightly"]).expect_code(0);
    assert_eq!(read(&project, "nightly/nightly.bue"), block("bue nightly.bue"));
    assert_eq!(read(&project, "nightly/schedules.toml"), block("toml schedules.toml"));
    project.bue(&["check", "nightly/nightly.bue", "nightly/refresh.bue"]).expect_code(0);
}
