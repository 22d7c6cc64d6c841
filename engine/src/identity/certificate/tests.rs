use super::*;

fn spiffe() -> CertificateName {
    CertificateName::Spiffe("acme.test".into())
}

/// A verified certificate whose only name of each kind is this.
fn named(name: &str) -> TransportFacts {
    let name = Some(name.to_owned());
    let peer = Peer {
        uri_san: name.clone(),
        uri_sans: name.clone(),
        dns_san: name.clone(),
        dns_sans: name.clone(),
        subject: name,
        sha256: Some("00".repeat(32)),
    };
    TransportFacts { mtls: Some(true), peer: Some(peer), ..TransportFacts::default() }
}

fn provider(name: CertificateName) -> Certificates {
    let mut certificates = Certificates::default();
    assert!(certificates.add(ProviderId(0), &name));
    certificates
}

#[test]
fn a_spiffe_id_is_read_as_the_specification_writes_it() {
    let spire = provider(spiffe());
    for good in ["spiffe://acme.test/agent/7", "spiffe://acme.test/a", "spiffe://acme.test/A-z_0.9/..."] {
        assert_eq!(spire.caller(&named(good)), Ok((ProviderId(0), good.to_owned())));
    }
    let long = format!("spiffe://acme.test/{}", "a".repeat(MAX_SPIFFE_ID));
    for bad in [
        "spiffe://acme.test",
        "spiffe://acme.test/",
        "spiffe://acme.test/agent/",
        "spiffe://acme.test//agent",
        "spiffe://acme.test/agent/../admin",
        "spiffe://acme.test/./agent",
        "spiffe://acme.test/agent%2Fadmin",
        "spiffe://acme.test/agent?x",
        "spiffe://acme.test/agent#x",
        "spiffe://acme.test/agent/*",
        "spiffe://acme.test:443/agent",
        "spiffe://user@acme.test/agent",
        "spiffe://ACME.test/agent",
        "SPIFFE://acme.test/agent",
        "spiffe:/acme.test/agent",
        "https://acme.test/agent",
        "spiffe:///agent",
        "spiffe://acme.test/ü",
        "spiffe://acme.test/agent,spiffe://acme.test/admin",
        "",
        &long,
    ] {
        assert_eq!(spire.caller(&named(bad)), Err(Unauthenticated::CertificateName), "{bad}");
    }
    for stranger in ["spiffe://acme.tes/agent", "spiffe://acme.test.evil/agent", "spiffe://xacme.test/agent"]
    {
        assert_eq!(spire.caller(&named(stranger)), Err(Unauthenticated::CertificateStranger), "{stranger}");
    }
}

#[test]
fn more_than_one_name_is_nobody_and_so_is_a_name_that_may_be_two() {
    let good = "spiffe://acme.test/agent/7";
    let with = |all: Option<&str>| {
        let mut facts = named(good);
        if let Some(peer) = &mut facts.peer {
            peer.uri_sans = all.map(str::to_owned);
        }
        provider(spiffe()).caller(&facts)
    };
    assert!(with(Some(good)).is_ok());
    for all in [
        None,
        Some(""),
        Some("-"),
        Some("spiffe://acme.test/agent/7,spiffe://acme.test/admin"),
        Some("spiffe://acme.test/admin"),
    ] {
        assert_eq!(with(all), Err(Unauthenticated::CertificateName), "{all:?}");
    }
    let dns = provider(CertificateName::Dns);
    assert!(dns.caller(&named("agent-7.acme.test")).is_ok());
    for bad in ["a.test,b.test", "*.acme.test", "a..test", ".", "a test"] {
        assert_eq!(dns.caller(&named(bad)), Err(Unauthenticated::CertificateName), "{bad}");
    }
}

#[test]
fn names_without_a_verified_certificate_are_nobodys() {
    for name in [spiffe(), CertificateName::Dns, CertificateName::Subject] {
        let certificates = provider(name);
        let good = named("spiffe://acme.test/agent/7");
        for mtls in [None, Some(false)] {
            let facts = TransportFacts { mtls, ..good.clone() };
            assert_eq!(certificates.caller(&facts), Err(Unauthenticated::Missing));
        }
        let mut facts = good.clone();
        if let Some(peer) = &mut facts.peer {
            peer.sha256 = None;
        }
        assert_eq!(certificates.caller(&facts), Err(Unauthenticated::Missing));
        assert_eq!(
            certificates.caller(&TransportFacts { peer: None, ..good }),
            Err(Unauthenticated::Missing)
        );
    }
}

#[test]
fn no_two_providers_vouch_for_one_certificate() {
    let mut certificates = provider(spiffe());
    assert!(certificates.add(ProviderId(1), &CertificateName::Spiffe("other.test".into())));
    assert_eq!(
        certificates.caller(&named("spiffe://other.test/x")),
        Ok((ProviderId(1), "spiffe://other.test/x".to_owned()))
    );
    for second in [spiffe(), CertificateName::Dns, CertificateName::Subject] {
        assert!(!provider(spiffe()).add(ProviderId(1), &second));
        assert!(!provider(CertificateName::Subject).add(ProviderId(1), &second));
    }
    assert!(!Certificates::default().add(ProviderId(0), &CertificateName::Spiffe("Acme.test".into())));
}

#[test]
fn patterns_stand_for_whole_segments() {
    let fits = |pattern: &str, id: &str| {
        assert!(is_name_pattern(&spiffe(), pattern), "{pattern}");
        patterns_of(&spiffe(), id).iter().any(|known| known == pattern)
    };
    for (pattern, id, expected) in [
        ("spiffe://acme.test/agent/7", "spiffe://acme.test/agent/7", true),
        ("spiffe://acme.test/agent/7", "spiffe://acme.test/agent/71", false),
        ("spiffe://acme.test/agent/*", "spiffe://acme.test/agent/7", true),
        ("spiffe://acme.test/agent/*", "spiffe://acme.test/agent", false),
        ("spiffe://acme.test/agent/*", "spiffe://acme.test/agent/7/a", false),
        ("spiffe://acme.test/agent/*", "spiffe://acme.test/agents/7", false),
        ("spiffe://acme.test/agent/**", "spiffe://acme.test/agent/7/a", true),
        ("spiffe://acme.test/agent/**", "spiffe://acme.test/agent/7", true),
        ("spiffe://acme.test/agent/**", "spiffe://acme.test/agent", false),
        ("spiffe://acme.test/*", "spiffe://acme.test/a", true),
        ("spiffe://acme.test/*", "spiffe://acme.test/a/b", false),
        ("spiffe://acme.test/**", "spiffe://acme.test/a/b", true),
    ] {
        assert_eq!(fits(pattern, id), expected, "{pattern} {id}");
    }
    for bad in [
        "spiffe://other.test/agent/*",
        "spiffe://acme.test",
        "spiffe://acme.test/a*",
        "spiffe://acme.test/*/a",
        "spiffe://*/agent",
        "*",
        "agent/*",
    ] {
        assert!(!is_name_pattern(&spiffe(), bad), "{bad}");
    }
    let dns = patterns_of(&CertificateName::Dns, "Agent-7.acme.test");
    assert_eq!(dns, ["agent-7.acme.test", "*.acme.test"]);
    assert!(is_name_pattern(&CertificateName::Dns, "*.acme.test"));
    for bad in ["*.*.test", "a*.test", "*", "Acme.test"] {
        assert!(!is_name_pattern(&CertificateName::Dns, bad), "{bad}");
    }
    assert!(is_name_pattern(&CertificateName::Subject, "O=Example,CN=agent"));
    for bad in ["", "O=Example,CN=*", "*", "CN=a\n"] {
        assert!(!is_name_pattern(&CertificateName::Subject, bad), "{bad}");
    }
    // The deepest id is in the groups of all depths; a deeper one is nobody.
    let deep = format!("spiffe://acme.test{}", "/a".repeat(MAX_SEGMENTS));
    assert!(fits("spiffe://acme.test/**", &deep));
    assert!(provider(spiffe()).caller(&named(&deep)).is_ok());
    assert_eq!(
        provider(spiffe()).caller(&named(&format!("{deep}/a"))),
        Err(Unauthenticated::CertificateName)
    );
}
