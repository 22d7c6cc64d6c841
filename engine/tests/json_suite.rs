//! JSONTestSuite through the masker: what is JSON passes unchanged, what is not is refused, however it is cut.
#![cfg(test)]

mod mask_support;

use mask_support::{Setup, send, whole};
use std::path::Path;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskError;

fn files(prefix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/JSONTestSuite");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(&name)).unwrap())).collect()
}

#[test]
fn valid_documents_pass_byte_for_byte() {
    let plan = Setup::default().plan();
    let files = files("y_");
    assert_eq!(files.len(), 95);
    for (name, body) in files {
        for longest in [1, 3, usize::MAX] {
            let (out, ended) = send(&plan, Format::Json, body.chunks(longest.min(body.len())));
            assert!(ended.is_ok_and(|findings| findings.is_empty()), "{name}");
            assert!(out == body, "{name} changed");
        }
    }
}

#[test]
fn invalid_documents_are_refused() {
    let plan = Setup::default().plan();
    let files = files("n_");
    assert_eq!(files.len(), 188);
    for (name, body) in files {
        if body.is_empty() {
            // A message without a body is no document (RFC 9110): nothing to inspect, nothing to refuse.
            assert_eq!(name, "n_structure_no_data.json");
            continue;
        }
        for longest in [1, 3, usize::MAX] {
            let (_, ended) = send(&plan, Format::Json, body.chunks(longest.min(body.len())));
            assert!(ended.is_err(), "{name} was accepted in pieces of {longest}");
        }
    }
}

#[test]
fn undecided_documents_are_treated_alike_in_any_cut() {
    let plan = Setup::default().plan();
    for (name, body) in files("i_") {
        let expected = whole(&plan, Format::Json, &body);
        assert!(send(&plan, Format::Json, body.chunks(1)) == expected, "{name}");
        // UTF-16 is refused, what is odd inside a string or number is kept.
        let kept = !name.contains("utf16")
            && !name.contains("UTF-16")
            && name != "i_structure_500_nested_arrays.json";
        match expected {
            (out, Ok(_)) => assert!(kept && out == body, "{name}"),
            (_, Err(error)) => assert!(!kept, "{name}: {error}"),
        }
    }
    let (_, ended) = whole(&plan, Format::Json, b"\xFF\xFE[\0]\0");
    assert_eq!(ended, Err(MaskError::InvalidJson));
}
