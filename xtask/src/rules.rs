//! The dependency rules of ARCHITECTURE.md, checked on what cargo resolves.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{process, wasm};

/// Crates that would give the engine a host, a clock, threads or a log.
const ENGINE_TREE_BANS: &[&str] = &["proxy-wasm", "tokio", "mio", "async-std", "smol", "hyper", "env_logger"];
const ENGINE_DIRECT_BANS: &[&str] = &["log", "tracing", "chrono", "time"];

/// Crates that are proxy-wasm modules.
const SDK_USERS: &[&str] = &["veilwire-filter", "veilwire-copy-filter", "veilwire-signature-filter"];

/// Which of our crates may name which of our crates, whatever the kind of dependency.
const ALLOWED: &[(&str, &[&str])] = &[
    ("veilwire-engine", &[]),
    ("veilwire-filter", &["veilwire-engine"]),
    // The baseline of the benchmarks.
    ("veilwire-copy-filter", &[]),
    // Both verifiers of signatures, for a test.
    ("veilwire-signature-filter", &["veilwire-engine"]),
    ("veilwire-policy-compiler", &["veilwire-engine"]),
    ("veilwire-tests", &["veilwire-engine", "veilwire-policy-compiler"]),
    ("xtask", &[]),
];

pub(crate) fn check() -> Result<()> {
    let packages = workspace_packages()?;
    check_edges(&packages)?;
    check_no_cycle(&packages)?;
    check_engine(&packages)?;
    check_sdk_only_in_filter(&packages)?;
    wasm::check_features()
}

/// Direct dependencies (normal, build, dev) of each workspace member.
type Packages = BTreeMap<String, BTreeSet<String>>;

fn workspace_packages() -> Result<Packages> {
    let text = process::capture(process::cargo().args([
        "metadata",
        "--locked",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let packages = metadata.pointer("/packages").and_then(Value::as_array).context("no packages")?;
    packages.iter().map(|p| Some((name(p)?, dependencies(p)?))).collect::<Option<_>>().context("odd metadata")
}

fn name(value: &Value) -> Option<String> {
    value.get("name")?.as_str().map(str::to_owned)
}

fn dependencies(package: &Value) -> Option<BTreeSet<String>> {
    package.get("dependencies")?.as_array()?.iter().map(name).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("veilwire") || name == "xtask"
}

fn check_edges(packages: &Packages) -> Result<()> {
    for (package, dependencies) in packages {
        let allowed = ALLOWED.iter().find(|(name, _)| name == package).map(|(_, list)| *list);
        let allowed = allowed.with_context(|| format!("`{package}` has no line in the dependency rules"))?;
        for ours in dependencies.iter().filter(|d| is_ours(d)) {
            ensure!(allowed.contains(&ours.as_str()), "`{package}` may not depend on `{ours}`");
        }
    }
    Ok(())
}

/// Dev-dependencies count: a cycle through them compiles, and then types of one crate exist twice.
fn check_no_cycle(packages: &Packages) -> Result<()> {
    let mut left: Packages = packages.clone();
    while !left.is_empty() {
        let leaf = left.iter().find(|(_, deps)| !deps.iter().any(|d| left.contains_key(d)));
        let Some(leaf) = leaf.map(|(name, _)| name.clone()) else {
            bail!("cycle among {}", left.keys().cloned().collect::<Vec<_>>().join(", "));
        };
        left.remove(&leaf);
    }
    Ok(())
}

fn check_engine(packages: &Packages) -> Result<()> {
    let direct = packages.get("veilwire-engine").context("there is no engine")?;
    for banned in ENGINE_DIRECT_BANS {
        ensure!(!direct.contains(*banned), "the engine names `{banned}`");
    }
    let tree = process::capture(process::cargo().args([
        "tree",
        "--locked",
        "-p",
        "veilwire-engine",
        "--all-features",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ]))?;
    for line in tree.lines() {
        let package = line.split(' ').next().unwrap_or_default();
        ensure!(!ENGINE_TREE_BANS.contains(&package), "the engine's dependency tree holds `{package}`");
    }
    Ok(())
}

fn check_sdk_only_in_filter(packages: &Packages) -> Result<()> {
    for (package, dependencies) in packages {
        let allowed = SDK_USERS.contains(&package.as_str()) || !dependencies.contains("proxy-wasm");
        ensure!(allowed, "only the filters may name `proxy-wasm`, and `{package}` does");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(edges: &[(&str, &[&str])]) -> Packages {
        edges.iter().map(|(n, d)| ((*n).to_owned(), d.iter().map(|d| (*d).to_owned()).collect())).collect()
    }

    #[test]
    fn an_edge_outside_the_table_is_refused() {
        assert!(check_edges(&packages(&[("veilwire-filter", &["veilwire-engine"])])).is_ok());
        assert!(check_edges(&packages(&[("veilwire-engine", &["veilwire-filter"])])).is_err());
        assert!(check_edges(&packages(&[("xtask", &["veilwire-engine"])])).is_err());
        assert!(check_edges(&packages(&[("veilwire-new", &[])])).is_err());
    }

    #[test]
    fn a_cycle_is_refused() {
        assert!(check_no_cycle(&packages(&[("a", &["b"]), ("b", &["c"]), ("c", &[])])).is_ok());
        assert!(check_no_cycle(&packages(&[("a", &["b"]), ("b", &["a"]), ("c", &[])])).is_err());
    }

    #[test]
    fn the_sdk_is_the_filters_alone() {
        assert!(check_sdk_only_in_filter(&packages(&[("veilwire-filter", &["proxy-wasm"])])).is_ok());
        assert!(check_sdk_only_in_filter(&packages(&[("veilwire-copy-filter", &["proxy-wasm"])])).is_ok());
        assert!(check_sdk_only_in_filter(&packages(&[("veilwire-tests", &["proxy-wasm"])])).is_err());
    }
}
