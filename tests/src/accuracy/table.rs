//! The figures for people: on a terminal, and in `docs/reference/accuracy.md` between two marks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::data::Group;
use super::figures::{Figures, Line};

const BEGIN: &str = "<!-- figures: written by `cargo xtask accuracy --bless` -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Where the page is.
#[must_use]
pub fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/accuracy.md")
}

/// The page with these figures in it.
///
/// # Errors
/// When the marks are not there.
pub fn into_page(page: &str, figures: &Figures) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("the page has no mark where the figures begin")?;
    let (_, after) = rest.split_once(END).context("the page has no mark where the figures end")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", markdown(figures)))
}

/// Tables in Markdown, a part per group.
#[must_use]
pub fn markdown(figures: &Figures) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let families = families(figures, group);
        text.push_str(&format!("\n### {}\n\n", title(group)));
        text.push_str("| family | values | found | recall | named | findings | false | precision | negatives hit | invalid hit | Presidio recall | Presidio precision |\n");
        text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        for family in families {
            let peer = figures.presidio.as_ref().and_then(|peer| peer.groups.get(group.key())?.get(family));
            let Some(line) = figures.veilwire.get(group.key()).and_then(|lines| lines.get(family)) else {
                continue;
            };
            text.push_str(&format!("| {family} {}|\n", cells(line, peer, "| ")));
        }
    }
    text.push_str(&speeds(figures));
    text
}

/// The same for a terminal.
#[must_use]
pub fn terminal(figures: &Figures) -> String {
    let mut text = String::new();
    for group in Group::ALL {
        text.push_str(&format!(
            "\n{}\n{:<28}{}\n",
            title(group),
            "",
            "values   found  recall   named findings   false  precis.  neg.hit  inv.hit   presidio recall/precision"
        ));
        for (family, line) in figures.veilwire.get(group.key()).into_iter().flatten() {
            let peer = figures.presidio.as_ref().and_then(|peer| peer.groups.get(group.key())?.get(family));
            let peer =
                peer.map_or(String::new(), |peer| format!("{:.3} / {:.3}", peer.recall, peer.precision));
            text.push_str(&format!(
                "{family:<26}{:>8}{:>8}{:>8.3}{:>8}{:>9}{:>8}{:>9.3}{:>9}{:>9}   {peer}\n",
                line.labels,
                line.found,
                line.recall,
                line.named,
                line.findings,
                line.false_hits,
                line.precision,
                of(line.hit_negatives, line.negatives),
                of(line.hit_invalid, line.invalid),
            ));
        }
    }
    text.push_str(&speeds(figures));
    text
}

fn families(figures: &Figures, group: Group) -> BTreeSet<&str> {
    figures.veilwire.get(group.key()).into_iter().flatten().map(|(family, _)| family.as_str()).collect()
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Sentences => "Sentences (presidio-research, six structured types)",
        Group::Values => "Values and short texts (presidio, validator.js, Recognizers-Text)",
        Group::Phones => "Telephone numbers of all regions (libphonenumber)",
        Group::Secrets => "Secrets (noseyparker, kingfisher, gitleaks, detect-secrets, secretlint)",
    }
}

fn cells(line: &Line, peer: Option<&Line>, bar: &str) -> String {
    let judged = |value: f64, of: usize| if of == 0 { "—".to_owned() } else { format!("{value:.3}") };
    let peer_recall = peer.map_or("—".to_owned(), |peer| judged(peer.recall, peer.labels));
    let peer_precision = peer.map_or("—".to_owned(), |peer| judged(peer.precision, peer.findings));
    let cells = [
        line.labels.to_string(),
        line.found.to_string(),
        judged(line.recall, line.labels),
        line.named.to_string(),
        line.findings.to_string(),
        line.false_hits.to_string(),
        judged(line.precision, line.findings),
        of(line.hit_negatives, line.negatives),
        of(line.hit_invalid, line.invalid),
        peer_recall,
        peer_precision,
    ];
    cells.into_iter().map(|cell| format!("{bar}{cell} ")).collect()
}

/// `3 of 40`, or a dash when there is nothing of the kind.
fn of(some: usize, all: usize) -> String {
    if all == 0 { "—".to_owned() } else { format!("{some}/{all}") }
}

fn speeds(figures: &Figures) -> String {
    let mut text = String::new();
    if let Some(speed) = figures.megabytes_per_second {
        text.push_str(&format!("\nSpeed over the rows, one at a time: Veilwire {speed:.0} MB/s"));
        if let Some(peer) = &figures.presidio {
            let slow = peer.megabytes_per_second;
            text.push_str(&format!("; Presidio {} {slow:.2} MB/s", peer.version));
        }
        text.push_str(".\n");
    }
    text
}
