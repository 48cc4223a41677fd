//! Whether the workers of a hub can run everything that a plan needs: scopes, languages and permissions.
//!
//! A job goes to any worker that serves its scope, whatever the worker permits. So each of these workers must permit what the step
//! requests.

use bue_model::plan::{Capability, Step};
use bue_model::wire::WorkerView;
use bue_model::{HostPattern, Language, NetRule, Plan};
use bue_runtime::must_be_named;

use crate::config::network::ANY_PUBLIC_HOST;

/// Workers that a message names.
const MAX_WORKERS: usize = 3;

/// Why a step cannot run, or not on every worker that would get its jobs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WorkerProblem {
    /// The line of the step's definition.
    pub(crate) line: u32,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What a worker lacks, and what to type there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lack {
    what: String,
    hint: String,
}

/// Returns what the workers lack for the steps of a plan, in the order of the steps.
pub(crate) fn worker_problems(plan: &Plan, workers: &[WorkerView]) -> Vec<WorkerProblem> {
    plan.steps.iter().flat_map(|step| step_problems(step, workers)).collect()
}

fn step_problems(step: &Step, workers: &[WorkerView]) -> Vec<WorkerProblem> {
    let scope = &step.settings.scope;
    let serving: Vec<&WorkerView> = workers.iter().filter(|worker| worker.scopes.contains(scope)).collect();
    if serving.is_empty() {
        let message = format!("step `{}`: no worker of the hub serves the scope `{scope}`", step.name);
        return vec![WorkerProblem { line: step.line, message, hint: format!("start one: bue worker -s {scope}") }];
    }
    let mut problems: Vec<(Lack, Vec<&str>)> = Vec::new();
    for worker in serving {
        for lack in lacks(step, worker) {
            match problems.iter_mut().find(|(known, _)| *known == lack) {
                Some((_, names)) => names.push(&worker.name),
                None => problems.push((lack, vec![&worker.name])),
            }
        }
    }
    let problem = |(Lack { what, hint }, names): (Lack, Vec<&str>)| {
        let message = format!("step `{}`: {what} on {}, which would get its jobs", step.name, worker_names(&names));
        WorkerProblem { line: step.line, message, hint }
    };
    problems.into_iter().map(problem).collect()
}

fn worker_names(names: &[&str]) -> String {
    let first: Vec<&str> = names.iter().take(MAX_WORKERS).copied().collect();
    let more = names.len().saturating_sub(MAX_WORKERS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} {}{more}", if names.len() == 1 { "worker" } else { "workers" }, first.join(", "))
}

/// Returns what a worker lacks for a step.
fn lacks(step: &Step, worker: &WorkerView) -> Vec<Lack> {
    let abilities = &worker.abilities;
    let mut lacks = Vec::new();
    let language = step.language.name();
    // every worker of this version makes lists of others
    let is_known =
        matches!(step.language, Language::Builtin) || abilities.languages.iter().any(|known| known == language);
    if !is_known {
        let what = format!("the language {language} is unknown");
        lacks.push(Lack { what, hint: format!("its bue is {}; install this release there", abilities.version) });
    }
    let mut names_database = false;
    for capability in &step.settings.allow {
        names_database |= matches!(capability, Capability::Postgres(_));
        lacks.extend(missing(capability, worker));
    }
    if step.language == Language::Postgres && !names_database {
        lacks.extend(missing_database("", worker));
    }
    lacks
}

fn missing(capability: &Capability, worker: &WorkerView) -> Option<Lack> {
    match capability {
        Capability::Net(rule) => {
            let is_allowed = worker.abilities.net.iter().any(|allowed| covers(allowed, rule));
            (!is_allowed).then(|| Lack {
                what: format!("`!allow net {rule}` is not permitted"),
                hint: format!("start it with --allow-net '{rule}', or set BUE_ALLOW_NET there"),
            })
        }
        Capability::Tcp(rule) => {
            let is_allowed = worker.abilities.tcp.iter().any(|allowed| covers(allowed, rule));
            (!is_allowed).then(|| Lack {
                what: format!("`!allow tcp {rule}` is not permitted"),
                hint: format!("start it with --allow-tcp '{rule}', or set BUE_ALLOW_TCP there"),
            })
        }
        Capability::Secret(name) => (!worker.abilities.secrets.contains(name)).then(|| Lack {
            what: format!("the secret `{name}` is not set"),
            hint: format!("set BUE_SECRET_{name} there"),
        }),
        Capability::Postgres(name) => missing_database(name, worker),
        // every worker has the bucket, and the script alone decides about its values
        Capability::Bucket(_) => None,
        Capability::Env(name) => (!worker.abilities.environment.contains(name)).then(|| Lack {
            what: format!("the variable `{name}` for steps is not set"),
            hint: format!("add `{name}` below [env] in bue.toml there, or set BUE_ENV_{name}"),
        }),
    }
}

fn missing_database(name: &str, worker: &WorkerView) -> Option<Lack> {
    if worker.abilities.databases.iter().any(|known| known == name) {
        return None;
    }
    Some(match name {
        "" => Lack {
            what: "no database for postgres steps is set".to_owned(),
            hint: "set BUE_POSTGRES_URL or POSTGRES_HOST there".to_owned(),
        },
        name => Lack {
            what: format!("the database `{name}` is not set"),
            hint: format!("add [postgres.{name}] to bue.toml there"),
        },
    })
}

/// Returns whether a worker's rule permits everything that a script's rule requests.
fn covers(allowed: &str, requested: &str) -> bool {
    if allowed == requested {
        return true;
    }
    if allowed == ANY_PUBLIC_HOST {
        return !requested.parse().is_ok_and(|rule| must_be_named(&rule));
    }
    let (Ok(allowed), Ok(requested)) = (allowed.parse::<NetRule>(), requested.parse::<NetRule>()) else { return false };
    let has_methods = allowed.methods.is_empty()
        || (!requested.methods.is_empty() && requested.methods.iter().all(|method| allowed.methods.contains(method)));
    let has_ports = match (allowed.ports, requested.ports) {
        (None, _) => true,
        (Some(allowed), Some(requested)) => allowed.covers(requested),
        (Some(_), None) => false,
    };
    has_methods && has_ports && covers_host(&allowed.host, &requested.host)
}

fn covers_host(allowed: &HostPattern, requested: &HostPattern) -> bool {
    let is_below = |name: &str, domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    match (allowed, requested) {
        (HostPattern::Below(domain), HostPattern::Name(name)) => is_below(name, domain),
        (HostPattern::Below(domain), HostPattern::Below(name)) => name == domain || is_below(name, domain),
        (allowed, requested) => allowed == requested,
    }
}

#[cfg(test)]
mod tests {
    use bue_model::plan::{Settings, Source};
    use bue_model::wire::WorkerAbilities;

    use super::*;

    fn plan(language: Language, scope: &str, allow: &[Capability]) -> Plan {
        let settings = Settings { scope: scope.to_owned(), allow: allow.to_vec(), ..Settings::default() };
        let step = Step {
            name: "load".to_owned(),
            language,
            function: "f".to_owned(),
            source: Source::File("f.py".to_owned()),
            line: 7,
            settings,
        };
        Plan { version: 1, steps: vec![step], nodes: Vec::new(), calls: Vec::new(), params: Vec::new() }
    }

    fn worker(name: &str, net: &[&str]) -> WorkerView {
        let abilities = WorkerAbilities {
            version: "0.1.0".to_owned(),
            languages: vec!["python".to_owned(), "postgres".to_owned()],
            net: net.iter().map(|rule| (*rule).to_owned()).collect(),
            tcp: vec!["*.example.com:6379".to_owned(), "ftp.example.com:30000-30100".to_owned()],
            secrets: vec!["KEY".to_owned()],
            databases: vec!["stock".to_owned()],
            environment: vec!["API_URL".to_owned()],
            wall: Vec::new(),
        };
        let scopes = vec!["default".to_owned()];
        WorkerView { name: name.to_owned(), scopes, abilities, ..WorkerView::default() }
    }

    #[track_caller]
    fn assert_problems(plan: &Plan, workers: &[WorkerView], expected: &[(&str, &str)]) {
        let problems = worker_problems(plan, workers);
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, (message, hint)) in problems.iter().zip(expected) {
            assert_eq!((problem.line, problem.message.as_str()), (7, *message));
            assert!(problem.hint.contains(hint), "{}", problem.hint);
        }
    }

    #[test]
    fn a_scope_needs_a_worker_and_each_of_its_workers_the_permissions() {
        let net = Capability::Net("api.example.com".to_owned());
        let step = plan(Language::Python, "default", &[net, Capability::Secret("KEY".to_owned())]);
        let message = "step `load`: no worker of the hub serves the scope `heavy`";
        assert_problems(&plan(Language::Python, "heavy", &[]), &[worker("w", &["*"])], &[(message, "-s heavy")]);
        assert_problems(&step, &[worker("w1", &["*"]), worker("w2", &["*.example.com"])], &[]);
        let message =
            "step `load`: `!allow net api.example.com` is not permitted on workers w2, w3, which would get its jobs";
        let workers = [worker("w1", &["*"]), worker("w2", &[]), worker("w3", &["example.com"])];
        assert_problems(&step, &workers, &[(message, "--allow-net 'api.example.com'")]);
    }

    #[test]
    fn languages_secrets_databases_and_variables_are_compared() {
        let workers = [worker("w", &[])];
        let message = |what: &str| format!("step `load`: {what} on worker w, which would get its jobs");
        let secret = plan(Language::Python, "default", &[Capability::Secret("OTHER".to_owned())]);
        assert_problems(&secret, &workers, &[(&message("the secret `OTHER` is not set"), "BUE_SECRET_OTHER")]);
        let variable = |name: &str| plan(Language::Python, "default", &[Capability::Env(name.to_owned())]);
        assert_problems(&variable("API_URL"), &workers, &[]);
        assert_problems(&variable("X"), &workers, &[(&message("the variable `X` for steps is not set"), "BUE_ENV_X")]);
        let rust = plan(Language::Rust, "default", &[]);
        assert_problems(&rust, &workers, &[(&message("the language rust is unknown"), "0.1.0")]);
        let database = |name: &str| plan(Language::Postgres, "default", &[Capability::Postgres(name.to_owned())]);
        assert_problems(&database("stock"), &workers, &[]);
        assert_problems(&database("x"), &workers, &[(&message("the database `x` is not set"), "[postgres.x]")]);
        let unnamed = plan(Language::Postgres, "default", &[]);
        assert_problems(&unnamed, &workers, &[(&message("no database for postgres steps is set"), "BUE_POSTGRES_URL")]);
    }

    #[test]
    fn ports_of_tcp_rules_are_compared() {
        let workers = [worker("w", &[])];
        let tcp = |rule: &str| plan(Language::Python, "default", &[Capability::Tcp(rule.to_owned())]);
        for rule in ["redis.example.com:6379", "ftp.example.com:30000-30050", "ftp.example.com:30100"] {
            assert_problems(&tcp(rule), &workers, &[]);
        }
        for rule in ["redis.example.com:6380", "ftp.example.com:30000-30101", "elsewhere.example:6379"] {
            let message =
                format!("step `load`: `!allow tcp {rule}` is not permitted on worker w, which would get its jobs");
            assert_problems(&tcp(rule), &workers, &[(&message, &format!("--allow-tcp '{rule}'"))]);
        }
    }

    #[test]
    fn a_rule_covers_narrower_ones() {
        for (allowed, requested) in [
            ("*", "anything:1"),
            ("*", "1.1.1.1"),
            ("a.com", "a.com:443"),
            ("a.com", "GET a.com"),
            ("GET|HEAD a.com", "GET a.com"),
            ("*.a.com", "x.y.a.com"),
            ("*.a.com", "*.b.a.com"),
            ("10.0.0.0/8", "10.0.0.0/8"),
        ] {
            assert!(covers(allowed, requested), "{allowed} covers {requested}");
            assert!(!covers(requested, allowed) || allowed == requested, "{requested} does not cover {allowed}");
        }
        for (allowed, requested) in [
            ("a.com:443", "a.com"),
            ("GET a.com", "a.com"),
            ("*.a.com", "a.com"),
            ("*.a.com", "ba.com"),
            ("*", "127.0.0.1:80"),
            ("*", "10.0.0.0/8"),
            ("*", "localhost"),
        ] {
            assert!(!covers(allowed, requested), "{allowed} does not cover {requested}");
        }
    }
}
