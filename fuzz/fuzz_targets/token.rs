//! Any `authorization` header: no panic; nobody gets in without a true signature, and with a believed
//! one nobody without the claims that the policy demands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use veilwire_engine::identity::{Authenticator, JwtSimpleVerifier};
use veilwire_fuzz::caller::{Credulous, NOW, token};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::policies::FULL_MODEL;

/// Asks a true verifier.
static STRICT: LazyLock<Authenticator> = LazyLock::new(authenticator);

/// Believes every signature. Another one, for what was verified once is remembered.
static BELIEVING: LazyLock<Authenticator> = LazyLock::new(authenticator);

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let value = match input.byte() % 3 {
        0 => input.rest().to_vec(),
        1 => [b"Bearer ", input.rest()].concat(),
        _ => {
            let rest = input.rest();
            let cut = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
            let payload = rest.get(cut + 1..).unwrap_or_default();
            [b"Bearer ".as_slice(), &token(&rest[..cut], payload)].concat()
        }
    };
    let headers = [(b"authorization".to_vec(), value)];
    let forged = STRICT.authenticate(&headers, NOW, &JwtSimpleVerifier);
    assert!(forged.is_err(), "a forged token was believed");
    if let Ok(identity) = BELIEVING.authenticate(&headers, NOW, &Credulous) {
        assert!(!identity.subject.is_empty() && !identity.subject.chars().any(char::is_control));
        assert!(identity.groups.is_sorted() && identity.groups.len() <= FULL_MODEL.groups.len());
        let header = identity.header_subject();
        assert!(header.bytes().all(|byte| byte.is_ascii_graphic()), "a subject that can break a header");
    }
});

fn authenticator() -> Authenticator {
    Authenticator::new(&FULL_MODEL.providers, &FULL_MODEL.groups).expect("the compiler accepted them")
}
