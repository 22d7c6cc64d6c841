//! How much detectors find, and how often they are wrong, over labelled texts that others wrote.
//!
//! Guarantees: equal rows and findings give equal figures, whoever found them; every row counts somewhere, or is counted as
//! left out. What the figures mean is in `docs/reference/accuracy.md`, and only there. Deliberately absent: any knowledge
//! of how a detector works.

pub mod data;
pub mod figures;
pub mod noise;
pub mod peer;
pub mod score;
pub mod table;

use anyhow::{Context as _, Result};
use veilwire_policy_compiler::catalog::Catalog;
use veilwire_policy_compiler::pack;

use data::Row;
use score::Found;

/// The detectors of every pack that ships.
///
/// # Errors
/// When a pack cannot be read or its detectors cannot be built.
pub fn catalog() -> Result<Catalog> {
    Catalog::of_packs(pack::references()).context("the packs' detectors")
}

/// What the detectors find in each row.
///
/// # Errors
/// When a scan gives up, which would make the figures better than they are.
pub fn find(catalog: &Catalog, rows: &[Row]) -> Result<Vec<Vec<Found>>> {
    rows.iter().map(|row| find_in(catalog, row)).collect()
}

fn find_in(catalog: &Catalog, row: &Row) -> Result<Vec<Found>> {
    let findings = catalog.find(row.text.as_bytes()).with_context(|| format!("row {}", row.id))?;
    let entry = |place: usize| catalog.entries().get(place);
    Ok(findings
        .into_iter()
        .map(|finding| Found {
            range: finding.range(),
            family: entry(finding.detector).and_then(|entry| entry.family.clone()),
            detector: entry(finding.detector).map(|entry| entry.name.clone()).unwrap_or_default(),
        })
        .collect())
}

/// Bytes as megabytes (10^6).
#[must_use]
pub fn megabytes(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6
}
