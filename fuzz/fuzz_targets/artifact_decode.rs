//! Any bytes as an artifact, and good artifacts with mistakes whose digest was made right again, so that every decoder
//! behind the digest is reached: no panic; what is accepted can be used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::Masker;
use veilwire_engine::policy::{Policy, artifact};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::policies::{FULL_ARTIFACT, SMALL_ARTIFACT};

const MAX_EDITS: usize = 16;
/// Where the total length and the digest of an artifact are.
const LENGTH: std::ops::Range<usize> = 12..16;
const DIGEST: std::ops::Range<usize> = 20..52;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let artifact = match input.byte() % 8 {
        0 => {
            if let Ok(artifact) = artifact::from_configuration(input.rest()) {
                try_load(&artifact);
            }
            return;
        }
        1 => sealed(input.rest().to_vec()),
        2 => sealed(edited(FULL_ARTIFACT.clone(), input)),
        3 => {
            // Without the right digest every edit must be noticed.
            let edited = edited(SMALL_ARTIFACT.clone(), input);
            let same = edited == *SMALL_ARTIFACT;
            assert_eq!(Policy::load(&edited).is_ok(), same, "a damaged artifact was loaded");
            return;
        }
        _ => sealed(edited(SMALL_ARTIFACT.clone(), input)),
    };
    try_load(&artifact);
});

/// Overwrites, inserts or removes a few bytes here and there.
fn edited(mut artifact: Vec<u8>, mut input: Input<'_>) -> Vec<u8> {
    for _ in 0..MAX_EDITS {
        if input.is_empty() {
            break;
        }
        let kind = input.byte();
        let place = (usize::from(input.byte()) << 16 | usize::from(input.word())) % (artifact.len() + 1);
        let bytes = input.take(usize::from(kind >> 4) + 1).to_vec();
        match kind % 4 {
            0 => artifact.splice(place..place, bytes).for_each(drop),
            1 => artifact.splice(place..(place + bytes.len()).min(artifact.len()), []).for_each(drop),
            _ => artifact.splice(place..(place + bytes.len()).min(artifact.len()), bytes).for_each(drop),
        }
    }
    artifact
}

/// The total length and the digest that the file should have.
fn sealed(mut artifact: Vec<u8>) -> Vec<u8> {
    if artifact.len() < DIGEST.end {
        return artifact;
    }
    let length = u32::try_from(artifact.len()).expect("inputs are short");
    artifact[LENGTH].copy_from_slice(&length.to_le_bytes());
    artifact[DIGEST].fill(0);
    let digest = Sha256::digest(&artifact);
    artifact[DIGEST].copy_from_slice(&digest);
    artifact
}

/// What loads must be safe to run: tables that were checked cannot lead out of bounds or into an endless loop.
fn try_load(bytes: &[u8]) {
    let Ok(policy) = Policy::load(bytes) else { return };
    for (_, rule) in policy.rules().take(4) {
        for &route in rule.routes.iter().take(4) {
            for direction in [Direction::Request, Direction::Response] {
                let plan = policy.plan(&rule.masks, route, direction).expect("tried when it was loaded");
                let Some(plan) = plan else { continue };
                let bodies: [(Format, &[u8]); 4] = [
                    (
                        Format::Json,
                        br#"{"k":"ab12 x@yz","l":["ab1234","ada@example.com",4111111111111111,null]}"#,
                    ),
                    (Format::Sse, b"event: x\ndata: {\"k\":\"ab12 x@yz\"}\n\ndata: ab123 abab12\n\n"),
                    (Format::Protobuf, b"\x0a\x0fada@example.com\x12\x06\x0a\x04ab12"),
                    (Format::Grpc, b"\0\0\0\0\x11\x0a\x0fada@example.com"),
                ];
                for (format, body) in bodies {
                    let mut masker = Masker::new(plan.clone(), format);
                    let mut out = Vec::new();
                    for part in body.chunks(7) {
                        if masker.write(part, &mut out).is_err() {
                            break;
                        }
                    }
                    let _ = masker.end(&mut out);
                }
            }
        }
    }
}
