use bue_model::plan::{Capability, Rate};

use super::parse::parse;
use super::value::SettingValue;
use crate::diagnostics::codes;

fn value(name: &str, text: &str) -> SettingValue {
    parse(name, text).unwrap_or_else(|error| panic!("{name} {text}: {}", error.message))
}

fn refused(name: &str, text: &str) -> &'static str {
    parse(name, text).err().unwrap_or_else(|| panic!("{name} {text} was accepted")).code
}

fn timeout(seconds: f64, soft_ms: Option<u64>) -> SettingValue {
    SettingValue::Timeout { seconds, soft_ms }
}

fn rate(count: u32, per_ms: u64, by: Option<&str>) -> SettingValue {
    SettingValue::Rate(Rate { count, per_ms, by: by.map(Into::into) })
}

#[test]
fn a_setting_of_buelon_is_refused_with_what_bue_has() {
    let compiled = crate::compile(crate::Script { path: "x.bue", text: "!max_reroutes 2" });
    let [diagnostic] = compiled.diagnostics.as_slice() else { panic!("{:?}", compiled.diagnostics) };
    assert_eq!(diagnostic.code, "E0020");
    assert!(diagnostic.hint.as_ref().is_some_and(|text| text.contains("`!max_handbacks 3`")), "{diagnostic:?}");
}

#[test]
fn a_timeout_is_arithmetic_or_a_duration() {
    assert_eq!(value("timeout", "60**2 * 5"), timeout(18_000.0, None));
    assert_eq!(value("timeout", "5min"), timeout(300.0, None));
    assert_eq!(value("timeout", "60 / 7"), timeout(60.0 / 7.0, None));
    assert_eq!(refused("timeout", "0"), codes::UNUSABLE_RESULT);
    assert_eq!(refused("timeout", "1/0"), codes::UNUSABLE_RESULT);
    assert_eq!(refused("timeout", "9**9**9"), codes::UNUSABLE_RESULT);
    assert_eq!(refused("timeout", "soon"), codes::INVALID_ARITHMETIC);
}

#[test]
fn a_soft_timeout_ends_before_the_timeout() {
    assert_eq!(value("timeout", "60s soft 50s"), timeout(60.0, Some(50_000)));
    assert_eq!(value("timeout", "60 soft 50"), timeout(60.0, Some(50_000)));
    assert_eq!(value("timeout", "2 * 60 soft 1.5"), timeout(120.0, Some(1_500)));
    for wrong in ["60s soft 60s", "50s soft 1m", "0.001 soft 0.0009"] {
        assert_eq!(refused("timeout", wrong), codes::INVALID_SOFT_TIMEOUT, "{wrong}");
    }
    for wrong in ["60s soft", "60s soft x", "soft 50s"] {
        assert_eq!(refused("timeout", wrong), codes::INVALID_ARITHMETIC, "{wrong}");
    }
    assert_eq!(refused("timeout", "60s soft 5 parsecs"), codes::INVALID_DURATION);
}

#[test]
fn a_handler_has_a_name() {
    assert_eq!(value("on_failure", "notify"), SettingValue::OnFailure("notify".into()));
    assert_eq!(value("on_failure", "\"tell  them\""), SettingValue::OnFailure("tell them".into()));
    for wrong in ["", "notify()", "a | b", "x.y"] {
        assert_eq!(refused("on_failure", wrong), codes::INVALID_HANDLER, "{wrong}");
    }
}

#[test]
fn a_priority_is_any_integer() {
    assert_eq!(value("priority", "-1"), SettingValue::Priority(-1));
    assert_eq!(value("priority", "+7"), SettingValue::Priority(7));
    assert_eq!(refused("priority", "1.5"), codes::NOT_AN_INTEGER);
    assert_eq!(refused("priority", "99999999999999999999"), codes::NOT_AN_INTEGER);
    assert_eq!(refused("retries", "-1"), codes::NOT_AN_INTEGER);
}

#[test]
fn every_is_a_duration_or_a_range() {
    assert_eq!(value("every", "5s"), SettingValue::Every(5_000, 5_000));
    assert_eq!(value("every", "5s .. 1m"), SettingValue::Every(5_000, 60_000));
    assert_eq!(refused("every", "1m..5s"), codes::INVALID_DURATION);
    assert_eq!(refused("every", "5"), codes::INVALID_DURATION);
}

#[test]
fn rates_have_a_period_and_perhaps_a_key() {
    assert_eq!(value("rate", "10/1m"), rate(10, 60_000, None));
    assert_eq!(value("rate", "10 / s by account id"), rate(10, 1_000, Some("account id")));
    for wrong in ["10", "0/1s", "10/", "x/1s", "10/1s by ", "-1/1s"] {
        assert_eq!(refused("rate", wrong), codes::INVALID_RATE, "{wrong}");
    }
}

#[test]
fn a_velocity_is_a_rate() {
    assert_eq!(value("@", "5"), rate(5, 1_000, None));
    assert_eq!(value("@", "5/2"), rate(5, 2_000, None));
    assert_eq!(value("@", "1/60"), rate(1, 60_000, None));
    assert_eq!(value("@", "heavy"), SettingValue::Tag);
    assert_eq!(refused("@", "0"), codes::UNUSABLE_RESULT);
    assert_eq!(refused("@", "1/100000000"), codes::INVALID_RATE);
}

#[test]
fn permissions_name_hosts_secrets_and_databases() {
    let list = vec![
        Capability::Net("*.example.com:443".into()),
        Capability::Net("[::1]:80".into()),
        Capability::Tcp("redis:6379".into()),
        Capability::Bucket("reports/2026 käse".into()),
        Capability::Bucket("reports/*".into()),
        Capability::Secret("API_KEY".into()),
        Capability::Postgres("main".into()),
        Capability::Env("API_URL".into()),
    ];
    let text = "net *.example.com:443, net [::1]:80, tcp redis:6379, bucket reports/2026 käse, bucket \"reports/*\", secret API_KEY,postgres main, env API_URL";
    assert_eq!(value("allow", text), SettingValue::Allow(list));
    for wrong in [
        "",
        "net",
        "net a:0",
        "net a:99999",
        "net http://a",
        "tcp a",
        "tcp GET a:1",
        "tcp a:2-1",
        "bucket",
        "bucket /a",
        "bucket a/../b",
        "bucket a*b",
        "files /",
        "secret a b",
        "net a,",
        "env A-B",
        "env 1A",
        "env",
    ] {
        assert_eq!(refused("allow", wrong), codes::INVALID_PERMISSION, "{wrong}");
    }
}

#[test]
fn requirements_are_written_as_pip_writes_them() {
    let text = "httpx >= 0.27, <1, pandas[excel,html]==2.2, numpy";
    let list = ["httpx >= 0.27,<1", "pandas[excel,html]==2.2", "numpy"].map(str::to_owned).to_vec();
    assert_eq!(value("requires", text), SettingValue::Requires(list));
    for wrong in ["", "a,,b", "-x", "two words", "a/b"] {
        assert_eq!(refused("requires", wrong), codes::INVALID_REQUIREMENT, "{wrong}");
    }
}
