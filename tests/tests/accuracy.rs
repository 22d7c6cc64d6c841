//! What the detectors find in labelled texts is not worse than recorded, and the documents tell the recorded figures.
#![cfg(test)]

use veilwire_tests::accuracy::figures::{Figures, groups};
use veilwire_tests::accuracy::{self, data, noise, score, table};

#[test]
fn no_family_is_worse_than_recorded() {
    let rows = data::load().unwrap();
    let found = accuracy::find(&accuracy::catalog().unwrap(), &rows).unwrap();
    let now = Figures {
        veilwire: groups(&score::score(&rows, &found)),
        presidio: None,
        megabytes_per_second: None,
    };
    let worse = now.worse_than(&Figures::recorded().unwrap());
    assert!(worse.is_empty(), "`cargo xtask accuracy --errors GROUP` tells more: {worse:#?}");
}

#[test]
fn every_hit_in_recorded_traffic_is_explained() {
    let noise = noise::measure(&accuracy::catalog().unwrap()).unwrap();
    let faults = noise.unexplained(&noise::explanations().unwrap());
    assert!(faults.is_empty(), "tests/accuracy/noise.toml does not explain: {faults:#?}");
}

#[test]
fn the_page_tells_the_recorded_figures() {
    let page = std::fs::read_to_string(table::page_path()).unwrap();
    let fresh = table::into_page(&page, &Figures::recorded().unwrap()).unwrap();
    assert!(page == fresh, "run `cargo xtask accuracy --bless` and look at what changed");
}
