//! `cargo xtask tidy`: checks that only a look at the files can make.
//!
//! Source files stay short, documents name only paths that exist, nothing in the repository speaks of a
//! machine, data files parse, and disabled corpus cases are counted. YAML is left to the policy compiler's own
//! tests, which parse every policy of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{console, process, workspace};

const MAX_LINES: usize = 800;
const SOURCE: &[&str] = &["rs"];
const TEXT: &[&str] = &["rs", "md", "toml", "yaml", "yml", "json", "sh", "txt", "py"];
/// Recorded or vendored data speaks its own words, and some of it is broken on purpose.
const DATA: &[&str] =
    &["tests/data/", "tests/corpus/", "engine/tests/data/", "fuzz/corpus/", "fuzz/crashes/"];
/// Words that never belong in the repository. Cut in two, so that this file passes its own check.
const FORBIDDEN: &[(&str, &str)] = &[
    ("/wor", "k/"),
    ("/roo", "t/"),
    ("/hom", "e/"),
    ("/User", "s/"),
    ("/tmp/tar", "get-"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("Co-Authored", "-By"),
];

pub(crate) fn run(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask tidy");
    }
    check()
}

pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let files = files(&root)?;
    let mut faults = Vec::new();
    for file in &files {
        inspect(&root, file, &mut faults);
    }
    console::note(&format!("{} files looked at", files.len()));
    console::note(&format!("{} corpus cases disabled", disabled_cases(&root, &files)?));
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        console::note(fault);
    }
    bail!("{} faults", faults.len())
}

/// What git tracks or would track, relative to the root.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = process::capture(&mut git).context("git is needed to list the files")?;
    let names = list.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(names.filter(|name| root.join(name).is_file()).collect())
}

fn has_extension(file: &Path, list: &[&str]) -> bool {
    file.extension().and_then(|e| e.to_str()).is_some_and(|e| list.contains(&e))
}

fn is_data(file: &Path) -> bool {
    DATA.iter().any(|folder| file.starts_with(folder))
}

fn inspect(root: &Path, file: &Path, faults: &mut Vec<String>) {
    if !has_extension(file, TEXT) || file.ends_with("Cargo.lock") {
        return;
    }
    let Ok(bytes) = std::fs::read(root.join(file)) else {
        faults.push(format!("{}: cannot be read", file.display()));
        return;
    };
    if is_data(file) {
        return;
    }
    let Ok(text) = String::from_utf8(bytes) else {
        faults.push(format!("{}: not UTF-8", file.display()));
        return;
    };
    if has_extension(file, SOURCE) && text.lines().count() > MAX_LINES {
        faults.push(format!("{}: {} lines, the limit is {MAX_LINES}", file.display(), text.lines().count()));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(word) = forbidden(line) {
            faults.push(format!("{}:{}: `{word}` does not belong here", file.display(), number + 1));
        }
    }
    if has_extension(file, &["json"]) && serde_json::from_str::<serde_json::Value>(&text).is_err() {
        faults.push(format!("{}: not JSON", file.display()));
    }
    if has_extension(file, &["toml"])
        && let Err(error) = text.parse::<toml::Table>()
    {
        faults.push(format!("{}: {}", file.display(), error.message()));
    }
    if has_extension(file, &["md"]) {
        for missing in missing_paths(root, file, &text) {
            faults.push(format!("{}: names `{missing}`, which does not exist", file.display()));
        }
    }
}

fn forbidden(line: &str) -> Option<String> {
    FORBIDDEN.iter().map(|(a, b)| format!("{a}{b}")).find(|word| line.contains(word.as_str()))
}

/// Paths in backticks outside fenced blocks, looked for from the root and from the document's own folder.
fn missing_paths(root: &Path, file: &Path, text: &str) -> Vec<String> {
    let beside = root.join(file.parent().unwrap_or(Path::new("")));
    let exists = |path: &str| root.join(path).exists() || beside.join(path).exists();
    named_paths(text).into_iter().filter(|path| !exists(path)).collect()
}

fn named_paths(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut paths = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            paths.extend(line.split('`').skip(1).step_by(2).filter_map(as_path));
        }
    }
    paths
}

/// A span is taken for a path of the repository when it has a folder of ours in front or is a file name with
/// an extension that we use. Generated files (`target/`) and placeholders are not looked for.
fn as_path(span: &str) -> Option<String> {
    const TOP: &[&str] = &[
        "engine/",
        "filter/",
        "policy-compiler/",
        "tests/",
        "xtask/",
        "envoy/",
        "fuzz/",
        "examples/",
        "docs/",
        ".ci/",
        ".cargo/",
    ];
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    (plain && TOP.iter().any(|top| span.starts_with(top))).then(|| span.trim_end_matches('/').to_owned())
}

fn disabled_cases(root: &Path, files: &[PathBuf]) -> Result<usize> {
    let mut count = 0;
    for file in files.iter().filter(|f| f.starts_with("tests/corpus") && has_extension(f, &["toml"])) {
        let text = std::fs::read_to_string(root.join(file))?;
        let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", file.display()))?;
        let cases = table.get("case").and_then(toml::Value::as_array);
        count += cases.into_iter().flatten().filter(|case| case.get("disabled").is_some()).count();
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_outside_fences_only() {
        let text =
            "see `engine/src/lib.rs` and `GET /x`\n```\n`engine/none.rs`\n```\nalso `docs/` and `--flag`";
        assert_eq!(named_paths(text), ["engine/src/lib.rs", "docs"]);
    }

    #[test]
    fn forbidden_words_are_named() {
        assert_eq!(forbidden(&format!("cd {}{}x", "/wor", "k/")).as_deref(), Some(concat!("/wor", "k/")));
        assert_eq!(forbidden("network/workers"), None);
    }

    #[test]
    fn data_is_told_from_source() {
        assert!(is_data(Path::new("tests/corpus/a.toml")));
        assert!(!is_data(Path::new("tests/src/corpus.rs")));
    }
}
