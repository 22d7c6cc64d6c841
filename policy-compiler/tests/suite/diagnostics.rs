//! One policy per diagnostic under `tests/ui`, and what is said about it.

use crate::support::{deployment, files, source};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use veilwire_policy_compiler::compile_policy;
use veilwire_policy_compiler::diagnostic::{Code, Diagnostics, render};
use veilwire_policy_compiler::source::Source;

/// Codes that no policy file of a sensible size can provoke; each has a test of its own or none at all.
const WITHOUT_CASE: &[Code] = &[Code::E0902, Code::E0999];

fn diagnose(source: &Source) -> Diagnostics {
    match compile_policy(source, &files(), &deployment()) {
        Ok(compiled) => compiled.warnings,
        Err(diagnostics) => diagnostics,
    }
}

struct Case {
    name: String,
    source: Source,
    diagnostics: Diagnostics,
}

/// Every policy of `tests/ui`, diagnosed once for all tests: one of them fills an automaton up to its limit.
static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let folder = format!("{}/tests/ui", env!("CARGO_MANIFEST_DIR"));
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect();
    names.sort();
    assert!(names.len() > 50, "the cases are gone");
    let case = |name: String| {
        let source = source(&format!("tests/ui/{name}.yaml"));
        let diagnostics = diagnose(&source);
        Case { name, source, diagnostics }
    };
    names.into_iter().map(case).collect()
});

#[test]
fn every_case_says_what_it_said_before() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../ui");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for case in CASES.iter() {
            insta::assert_snapshot!(
                case.name.as_str(),
                render::human(&case.source, &case.diagnostics, false)
            );
        }
    });
}

#[test]
fn a_case_named_after_a_code_provokes_it_and_no_other_error() {
    for case in CASES.iter() {
        let name = &case.name;
        let Some(code) = Code::ALL.iter().find(|code| name.starts_with(code.as_str())) else { continue };
        let codes: BTreeSet<&str> = case.diagnostics.items().iter().map(|item| item.code.as_str()).collect();
        assert!(codes.contains(code.as_str()), "{name} says {codes:?}");
        let errors: Vec<_> =
            codes.iter().filter(|said| said.starts_with('E') && **said != code.as_str()).collect();
        assert!(errors.is_empty(), "{name} also says {errors:?}");
    }
}

#[test]
fn every_code_has_a_case() {
    for code in Code::ALL.iter().filter(|code| !WITHOUT_CASE.contains(code)) {
        assert!(
            CASES.iter().any(|case| case.name.starts_with(code.as_str())),
            "no case for {}",
            code.as_str()
        );
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let path = format!("{}/../docs/reference/diagnostics.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let pages: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let expected: Vec<String> =
        Code::ALL.iter().map(|code| format!("{}: {}", code.as_str(), code.title())).collect();
    for heading in &expected {
        assert!(pages.contains(&heading.as_str()), "docs/reference/diagnostics.md has no `## {heading}`");
    }
    for page in pages.iter().filter(|page| page.starts_with(['E', 'W'])) {
        assert!(expected.iter().any(|heading| heading == page), "`## {page}` documents no code");
    }
}

#[test]
fn a_sound_policy_says_nothing() {
    assert_eq!(diagnose(&source("tests/ui/clean.yaml")), Diagnostics::default());
    assert_eq!(diagnose(&source("../examples/first-light/policy.yaml")), Diagnostics::default());
}

#[test]
fn more_routes_than_a_filter_accepts_are_refused() {
    let base = source("tests/ui/clean.yaml").text;
    let mut routes = String::from("  routes:\n");
    let mut names = Vec::new();
    for number in 0..1025 {
        routes.push_str(&format!(
            "    r{number}: {{match: {{host: api.local, path: /r{number}}}, upstream: api, content: json}}\n"
        ));
        names.push(format!("r{number}"));
    }
    let (before, after) = base.split_once("  routes:\n").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let text =
        format!("{before}{routes}{after}").replace("may: [items]", &format!("may: [{}]", names.join(", ")));
    let diagnostics = diagnose(&Source::new("large.yaml", text));
    let codes: Vec<&str> = diagnostics.items().iter().map(|item| item.code.as_str()).collect();
    assert_eq!(codes, ["E0902"]);
}

#[test]
fn json_diagnostics_carry_bytes_lines_and_columns() {
    let source = source("tests/ui/E0203-unknown-key.yaml");
    let document: serde_json::Value =
        serde_json::from_str(&render::json(&source, &diagnose(&source))).unwrap();
    let first = &document["diagnostics"][1];
    assert_eq!(first["code"], "E0203");
    assert_eq!(first["label"], "did you mean `groups`?");
    let number = |name: &str| usize::try_from(first["place"][name].as_u64().unwrap()).unwrap();
    assert_eq!(source.text.get(number("start")..number("end")), Some("gruops"));
    let line = source.text.lines().nth(number("line") - 1).unwrap();
    assert_eq!(line.get(number("column") - 1..number("endColumn") - 1), Some("gruops"));
}

/// SECURITY: diagnostics go to terminals and CI logs. They quote the policy, but no credential in it, whatever is wrong and wherever.
#[test]
fn diagnostics_never_show_a_credential() {
    let secret = "sk-abcdefghijklmnop0123456789";
    let clean = source("tests/ui/clean.yaml").text;
    for (old, new) in [
        ("audiences: [api]", format!("audiences: [{secret}]")),
        ("audiences: [api]", format!("audiences: [{secret}")),
        ("issuer: https://id.example.com", format!("issuer: {secret}")),
        ("profile: intermediate", format!("profile: {secret}")),
        ("host: api.local", format!("host: api.local, token: {secret}, {secret}: x")),
        ("may: [items]", format!("may: [items, {secret}]")),
    ] {
        assert!(clean.contains(old));
        let source = Source::new("policy.yaml", clean.replace(old, &new));
        let diagnostics = diagnose(&source);
        assert!(diagnostics.has_errors(), "{old}");
        for said in [render::human(&source, &diagnostics, false), render::json(&source, &diagnostics)] {
            assert!(!said.contains("abcdef"), "in place of {old}");
        }
    }
}

/// Any text, cut or with a line missing, is answered; the reader never panics and never accepts half a policy.
#[test]
fn damaged_policies_are_answered() {
    let text = source("../examples/first-light/policy.yaml").text;
    for cut in (0..text.len()).step_by(97).filter(|cut| text.is_char_boundary(*cut)) {
        let (before, after) = text.split_at(cut);
        let cut_short = Source::new("cut.yaml", before);
        assert!(diagnose(&cut_short).has_errors(), "cut at {cut}");
        let rest_of_text = after.split_once('\n').map_or("", |(_, rest)| rest);
        let holed = Source::new("holed.yaml", format!("{before}{rest_of_text}"));
        let _ = render::human(&holed, &diagnose(&holed), true);
    }
}
