//! What a policy compiles to: deterministic bytes that the filter's own loader accepts, and Envoy's configuration.

use crate::support::{deployment, files, source};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{
    Canonical, Effect, Field, KeySource, Model, Numbers, Partial, Pseudonym, Replacement, RoutePath,
    Severity, Thinking, TlsVersion,
};
use veilwire_policy_compiler::detect::Probe;
use veilwire_policy_compiler::diagnostic::render;
use veilwire_policy_compiler::pack::Pack;
use veilwire_policy_compiler::{Compiled, Deployment, Source, compile_policy};

fn compile(source: &Source) -> Compiled {
    compile_policy(source, &files(), &deployment())
        .unwrap_or_else(|diagnostics| panic!("{}", render::human(source, &diagnostics, false)))
}

fn first_light() -> Source {
    source("../examples/first-light/policy.yaml")
}

/// The body of a case with some text replaced; every replacement must apply.
fn edited(replacements: &[(&str, &str)]) -> Source {
    let mut text = source("tests/ui/clean.yaml").text;
    for (old, new) in replacements {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    Source::new("edited.yaml", text)
}

#[test]
fn the_same_policy_gives_the_same_bytes() {
    let (first, second) = (compile(&first_light()), compile(&first_light()));
    assert_eq!(first.artifact, second.artifact);
    assert_eq!(first.envoy_yaml, second.envoy_yaml);
}

#[test]
fn the_order_of_a_policy_never_matters() {
    let text = first_light().text;
    let swapped = text
        .replace(
            "[anthropic@1, openai@1, pci@1, pii-us@1, secrets@1]",
            "[secrets@1, pii-us@1, openai@1, pci@1, anthropic@1]",
        )
        .replace(
            "[employee-id, pci.*, pii-us.*, secrets.*]",
            "[secrets.*, pii-us.ssn, pii-us.*, pci.*, employee-id]",
        )
        .replace("[RS256, ES256, EdDSA]", "[EdDSA, RS256, ES256]")
        .replace("[openai-chat, anthropic-messages]", "[anthropic-messages, openai-chat]");
    assert_ne!(swapped, text);
    assert_eq!(compile(&Source::new("policy.yaml", swapped)).artifact, compile(&first_light()).artifact);
}

#[test]
fn the_artifact_is_what_the_filter_loads() {
    let compiled = compile(&first_light());
    let policy = Policy::load(&compiled.artifact).unwrap();
    assert_eq!((policy.name(), policy.revision()), ("first-light", 1));
    assert_eq!(policy.digest(), compiled.digest);
    let decoded: &Model = policy.model();
    assert_eq!(decoded.routes, compiled.model.routes);
    assert_eq!(decoded.rules, compiled.model.rules);
    assert!(compiled.artifact.len() < 700 * 1024, "{} bytes", compiled.artifact.len());
}

#[test]
fn the_model_says_what_the_policy_says() {
    let model = compile(&first_light()).model;
    let names: Vec<&str> = model.detectors.iter().map(|detector| detector.name.as_str()).collect();
    for expected in [
        "employee-id",
        "pci.card",
        "pii-us.email",
        "pii-us.ssn",
        "secrets.anthropic-key",
        "secrets.aws-access-key",
        "secrets.openai-key",
    ] {
        assert!(names.contains(&expected), "{expected} of {names:?}");
    }
    let of_packs =
        ["pci@1", "pii-us@1", "secrets@1"].map(|pack| Pack::load(pack).unwrap().unwrap().detectors.len());
    assert_eq!(names.len(), 1 + of_packs.iter().sum::<usize>(), "one of its own, and all of its packs");
    let tag = model.tags.iter().find(|tag| tag.name == "pci.pan").unwrap();
    assert_eq!(
        (tag.severity, &tag.replacement),
        (Severity::Critical, &Replacement::Placeholder("[CARD]".to_owned()))
    );
    let route = model.routes.iter().find(|route| route.name == "anthropic-messages").unwrap();
    assert_eq!(route.thinking, Thinking::MaskAndDropSignature);
    assert_eq!(route.path, RoutePath::Exact("/v1/messages".to_owned()));
    let rule = model.rules.iter().find(|rule| rule.name == "contractors-stay-out").unwrap();
    assert_eq!((rule.effect, rule.routes.len()), (Effect::MayNot, 2));
    assert_eq!(rule.message.as_deref(), Some("ask platform-security for access"));
    assert!(model.tls.require && !model.tls.client_certificate);
    assert_eq!(model.tls.min_version, TlsVersion::V1_2);
    let mask = &model.masks[0];
    assert_eq!((mask.request_body, mask.response_body, mask.fields.len()), (true, true, 2));
    assert!(model.audit.response_headers);
    assert_eq!(model.limits.window, 512);
    assert_eq!(model.meta.packs.len(), 5);
}

#[test]
fn masks_say_what_is_looked_at_outside_of_bodies() {
    let fields = "fields: [{tag: pii.contact, at: [query.api_key, header.X-User, header.cookie]}]";
    let places = format!("in: [path, query, headers]}}, {fields}}}");
    let source = edited(&[("in: [requestBody, responseBody]}}", &places)]);
    let mask = &compile(&source).model.masks[0];
    assert_eq!((mask.request_body, mask.response_body), (false, false));
    assert!(mask.head.path && mask.head.query && mask.head.headers);
    let at = |fields: &[Field]| fields.iter().map(|field| field.at.to_string()).collect::<Vec<_>>();
    assert_eq!(at(&mask.head.query_fields), ["$.api_key"]);
    assert_eq!(at(&mask.head.header_fields), ["$.cookie", "$.x-user"]);
}

/// Envoy takes the first route that matches and the filter takes the first route of the model: both must be the most specific one.
#[test]
fn routes_are_ordered_by_specificity_in_artifact_and_envoy_alike() {
    let routes = "  routes:
    all: {match: {host: api.local, path: /**}, upstream: api, content: json}
    below: {match: {host: api.local, path: /items/**}, upstream: api, content: json}
    deeper: {match: {host: api.local, path: /items/new/**}, upstream: api, content: json}
";
    let source = edited(&[("  routes:\n", routes), ("may: [items]", "may: [items, all, below, deeper]")]);
    let compiled = compile(&source);
    let names: Vec<&str> = compiled.model.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["items", "deeper", "below", "all"]);
    let at = |name: &str| compiled.envoy_yaml.find(&format!("- name: {name}\n")).unwrap();
    assert!(at("items") < at("deeper") && at("deeper") < at("below") && at("below") < at("all"));
}

#[test]
fn a_policy_may_change_the_severity_of_a_pack_and_keep_its_replacement() {
    let source = edited(&[("  identity:\n", "  tags: {pii.email: {severity: low}}\n  identity:\n")]);
    let model = compile(&source).model;
    let tag = model.tags.iter().find(|tag| tag.name == "pii.email").unwrap();
    assert_eq!(
        (tag.severity, &tag.replacement),
        (Severity::Low, &Replacement::Placeholder("[EMAIL]".to_owned()))
    );
}

#[test]
fn placeholders_know_their_tag() {
    let source = edited(&[(
        "  identity:\n",
        "  tags: {pii.email: {severity: low, replace: {placeholder: \"[{tag}]\"}}}\n  identity:\n",
    )]);
    let tags = compile(&source).model.tags;
    assert!(tags.iter().any(|tag| tag.replacement == Replacement::Placeholder("[pii.email]".to_owned())));
}

#[test]
fn tags_say_how_values_are_replaced() {
    let source = edited(&[(
        "  identity:\n",
        "  tags:
    pii.email: {severity: low, replace: {pseudonym: EMAIL}}
    pii.gov-id: {severity: low, replace: {partial: {keepLast: 3, maskLength: 4}, placeholder: \"[{detector}]\"}, numbers: zero}
    pii.contact: {severity: low, replace: {drop: {}}, numbers: null}
  identity:
",
    )]);
    let model = compile(&source).model;
    let tag = |name: &str| {
        let tag = model.tags.iter().find(|tag| tag.name == name).unwrap();
        (tag.replacement.clone(), tag.numbers)
    };
    let pseudonym = Pseudonym { name: "EMAIL".to_owned(), otherwise: "[PII.EMAIL]".to_owned() };
    assert_eq!(tag("pii.email"), (Replacement::Pseudonym(pseudonym), Numbers::String));
    let otherwise = "[{detector}]".to_owned();
    let partial = Partial { keep_first: 0, keep_last: 3, mask_length: Some(4), otherwise };
    assert_eq!(tag("pii.gov-id"), (Replacement::Partial(partial), Numbers::Zero));
    let tokens: Vec<&str> = model
        .masks
        .iter()
        .flat_map(|mask| &mask.tokens)
        .map(|id| model.detectors[id.index()].name.as_str())
        .collect();
    assert_eq!(tokens, ["pseudonym:EMAIL"]);
    assert_eq!(model.detectors.last().unwrap().name, "pseudonym:EMAIL", "behind all that a policy can name");
}

#[test]
fn keys_are_where_the_policy_says_and_nowhere_else() {
    let source = edited(&[(
        "  identity:\n",
        "  keys:
    second: {hmacSha256: {id: k2, from: {environment: SECOND_KEY}}}
    first: {hmacSha256: {id: k1, from: {environment: FIRST_KEY}}}
  tags:
    pii.email: {severity: low, replace: {tokenize: {key: second, prefix: c_, canonical: lowercase}}}
    pii.gov-id: {severity: low, replace: {shape: {key: first}, placeholder: \"[ID]\"}}
  identity:
",
    )]);
    let compiled = compile(&source);
    let variable = |name: &str| KeySource::Environment(name.into());
    let names: Vec<_> = compiled.model.keys.iter().map(|key| (key.name.as_str(), key.from.clone())).collect();
    assert_eq!(names, [("first", variable("FIRST_KEY")), ("second", variable("SECOND_KEY"))]);
    let replacement =
        |name: &str| &compiled.model.tags.iter().find(|tag| tag.name == name).unwrap().replacement;
    let Replacement::Tokenize(token) = replacement("pii.email") else { panic!("no token") };
    assert_eq!(
        (token.key.0, token.prefix.as_str(), token.canonical, token.otherwise.as_str()),
        (1, "c_k2_", Canonical::Lowercase, "[PII.EMAIL]")
    );
    let Replacement::Shape(shape) = replacement("pii.gov-id") else { panic!("no shape") };
    assert_eq!((shape.key.0, shape.otherwise.as_str()), (0, "[ID]"));
    let emitted = compiled.envoy_yaml.lines().find(|line| line.contains("host_env_keys:")).unwrap();
    assert_eq!(emitted.trim(), "host_env_keys: [FIRST_KEY, SECOND_KEY]");
    // Envoy hands the filter nothing where no key is declared.
    let none = compile(&first_light()).envoy_yaml;
    assert!(!none.contains("environment_variables") && !none.contains("set_filter_state"));
    assert!(!compiled.envoy_yaml.contains("set_filter_state"));
}

#[test]
fn a_key_in_a_file_is_a_secret_of_envoy_and_its_file_no_part_of_the_artifact() {
    let source = edited(&[(
        "  identity:\n",
        "  keys: {second: {hmacSha256: {id: k2, from: {file: keys/second.key}}}}
  tags:
    pii.email: {severity: low, replace: {tokenize: {key: second}}}
  identity:
",
    )]);
    let compiled = compile(&source);
    assert_eq!(compiled.model.keys[0].from, KeySource::FilterState("veilwire.key.second".into()));
    assert!(!compiled.artifact.windows(10).any(|piece| piece == b"second.key"));
    let yaml = &compiled.envoy_yaml;
    assert!(yaml.contains("keys/second.key") && yaml.contains("%SECRET(veilwire.key.second)%"), "{yaml}");
    let place = |text: &str| yaml.find(text).unwrap_or_else(|| panic!("no `{text}` in {yaml}"));
    assert!(
        place("envoy.filters.http.set_filter_state") < place("failure_policy: FAIL_RELOAD")
            && place("failure_policy") < place("name: envoy.filters.http.router"),
        "in front"
    );
    assert!(!yaml.contains("environment_variables"));
}

#[test]
fn fields_that_are_dropped_say_so_in_the_model() {
    let source = edited(&[
        (
            "  identity:\n",
            "  tags: {gone: {severity: low, replace: {drop: {}}, numbers: null}}\n  identity:\n",
        ),
        (
            "in: [requestBody, responseBody]}",
            "in: [requestBody, responseBody]}, fields: [{tag: gone, at: [json.$.x]}]",
        ),
    ]);
    let model = compile(&source).model;
    let gone = model.tags.iter().find(|tag| tag.name == "gone").unwrap();
    assert_eq!((&gone.replacement, gone.numbers), (&Replacement::Drop, Numbers::Null));
    assert!(model.masks.iter().all(|mask| mask.tokens.is_empty()));
}

/// Every pack's own examples, through the artifact's automata.
#[test]
fn detectors_of_packs_find_their_examples_and_nothing_they_ignore() {
    use veilwire_policy_compiler::{detect::Wanted, pack};
    for reference in pack::references() {
        let pack = pack::Pack::load(reference).unwrap().unwrap();
        for detector in &pack.detectors {
            let name = pack.full_name(&detector.name);
            let rule = detector.body.rule().unwrap();
            let wanted = Wanted { name: &name, rule: &rule };
            let probe = Probe::new(&[wanted], 512).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!detector.body.matches.is_empty() && !detector.body.ignores.is_empty(), "{name}");
            for example in &detector.body.matches {
                assert!(probe.finds(&example.value), "{name} misses {}", example.value);
            }
            for example in &detector.body.ignores {
                assert!(!probe.finds(&example.value), "{name} finds {}", example.value);
            }
        }
    }
}

/// `envoy/first-light.yaml` is there to be read and reviewed. `VEILWIRE_BLESS=1` writes it anew.
#[test]
fn the_envoy_configuration_of_first_light_is_as_reviewed() {
    let compiled = compile(&first_light());
    let scrub = |line: &str| match line.split_once("value: \"iVZXUA0K") {
        Some((indent, _)) => format!("{indent}value: \"(the artifact, base64)\"\n"),
        None => format!("{line}\n"),
    };
    let written: String = compiled.envoy_yaml.lines().map(scrub).collect();
    let written = written.replace(&compiled.digest, "(its digest)");
    assert!(written.contains("(the artifact, base64)") && written.contains("(its digest)"));
    let path = format!("{}/../envoy/first-light.yaml", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("VEILWIRE_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap();
    let differs = reviewed.lines().zip(written.lines()).find(|(reviewed, written)| reviewed != written);
    assert!(
        reviewed == written,
        "envoy/first-light.yaml is not what the compiler writes; first difference: {differs:?}"
    );
}

/// A caller on a private network could else choose the request id, which is logged, and time limits, retries and more by `x-envoy-*`.
#[test]
fn no_caller_counts_as_internal() {
    let yaml = compile(&first_light()).envoy_yaml;
    let (_, config) = yaml.split_once("internal_address_config:\n").unwrap();
    let config: Vec<&str> = config.lines().take(4).map(str::trim).collect();
    let expected =
        ["unix_sockets: false", "cidr_ranges:", "- address_prefix: \"255.255.255.255\"", "prefix_len: 32"];
    assert_eq!(config, expected);
}

/// Unmatched requests are answered by the filter on a route without an upstream, to which the headers of the routes do not apply.
#[test]
fn answers_of_envoy_itself_have_strict_transport_security() {
    let yaml = compile(&first_light()).envoy_yaml;
    let (_, config) = yaml.split_once("local_reply_config:\n").unwrap();
    let config: Vec<&str> = config.lines().take(11).map(str::trim).collect();
    let expected = [
        "mappers:",
        "- filter:",
        "status_code_filter:",
        "comparison:",
        "op: GE",
        "value:",
        "default_value: 100",
        "runtime_key: veilwire.local_reply",
        "headers_to_add:",
        "- header:",
        "key: strict-transport-security",
    ];
    assert_eq!(config, expected);
    assert_eq!(yaml.matches("key: strict-transport-security").count(), 2, "of routes and of local replies");
}

#[test]
fn no_upstream_learns_where_a_caller_is_or_claims_to_be() {
    let yaml = compile(&first_light()).envoy_yaml;
    assert!(yaml.contains("use_remote_address: true\n") && yaml.contains("skip_xff_append: true\n"));
    let (_, removed) = yaml.split_once("request_headers_to_remove: [").unwrap();
    let removed: Vec<&str> = removed.split(']').next().unwrap().split(", ").collect();
    for header in
        ["x-forwarded-for", "forwarded", "x-real-ip", "x-envoy-external-address", "x-forwarded-host"]
    {
        assert!(removed.contains(&header), "{header}");
    }
}

/// Bytes of a sound policy changed at random: an answer every time, and a model only if the filter accepts it.
#[test]
fn mutated_policies_are_answered() {
    const PIECES: &[&str] = &[
        "{", "}", "[", "]", ": ", ", ", "\n", "&a ", "*a", "!t ", "'", "\"", "#", "- ", "\t", "|", "é", "0",
        "..", "/**", "~",
    ];
    let text = source("tests/ui/clean.yaml").text;
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (bound as u64)).unwrap()
    };
    let mut accepted = 0;
    for round in 0..1_500 {
        let mut mutated = text.clone();
        for _ in 0..=random(3) {
            let at = random(mutated.len());
            let end = (at + random(12)).min(mutated.len());
            if mutated.is_char_boundary(at) && mutated.is_char_boundary(end) {
                mutated.replace_range(at..end, PIECES[random(PIECES.len())]);
            }
        }
        let source = Source::new("mutated.yaml", mutated);
        match compile_policy(&source, &files(), &deployment()) {
            Ok(compiled) => {
                accepted += 1;
                Policy::load(&compiled.artifact).unwrap_or_else(|error| panic!("round {round}: {error}"));
            }
            Err(diagnostics) => {
                assert!(diagnostics.has_errors(), "round {round}");
                assert!(
                    diagnostics.items().iter().all(|item| item.code.as_str() != "E0999"),
                    "round {round}"
                );
                assert!(!render::human(&source, &diagnostics, false).is_empty());
            }
        }
    }
    assert!((1..1_500).contains(&accepted), "{accepted} accepted: the mutations are no test");
}

#[test]
fn modern_profiles_and_client_certificates_reach_both_envoy_and_filter() {
    let source = edited(&[
        ("profile: intermediate", "profile: modern"),
        (
            "key: server.key}}}",
            "key: server.key}}, clientCertificate: {require: {trust: ca, uriSans: [\"spiffe://acme.internal/\", \"spiffe://other/x\"]}}}",
        ),
    ]);
    let compiled = compile(&source);
    assert!(compiled.model.tls.client_certificate);
    assert_eq!(compiled.model.tls.min_version, TlsVersion::V1_3);
    let yaml = &compiled.envoy_yaml;
    assert!(yaml.contains("require_client_certificate: true"));
    assert!(!yaml.contains("cipher_suites") && !yaml.contains("TLSv1_2"));
    assert!(
        yaml.contains("prefix: \"spiffe://acme.internal/\"") && yaml.contains("exact: \"spiffe://other/x\"")
    );
}

#[test]
fn an_upstream_that_is_a_bare_address_must_prove_that_address() {
    let yaml = compile(&edited(&[("host: api.example.com", "host: 192.0.2.7")])).envoy_yaml;
    assert!(yaml.contains("san_type: IP_ADDRESS") && yaml.contains("exact: \"192.0.2.7\""));
    assert!(!yaml.contains("sni:") && !yaml.contains("auto_sni_san_validation"));
}

#[test]
fn a_service_is_a_cluster_that_proves_its_name() {
    let compiled = compile(&source("tests/ui/W0708-unused-service.yaml"));
    let (_, cluster) = compiled.envoy_yaml.split_once("name: service.idp\n").unwrap();
    let (cluster, _) = cluster.split_once("overload_manager").unwrap();
    for line in [
        "sni: id.example.com",
        "auto_sni_san_validation: true",
        "filename: /etc/ssl/certs/ca-certificates.crt",
        "tls_maximum_protocol_version: TLSv1_3",
    ] {
        assert!(cluster.contains(line), "{line}: {cluster}");
    }
}

#[test]
fn an_upstream_is_spoken_to_as_its_policy_says() {
    let yaml = compile(&edited(&[])).envoy_yaml;
    assert!(yaml.contains("http_protocol_options: {}") && !yaml.contains("http2_protocol_options: {}"));
    let yaml =
        compile(&edited(&[("host: api.example.com", "host: api.example.com, protocol: http2")])).envoy_yaml;
    assert!(yaml.contains("http2_protocol_options: {}") && !yaml.contains("http_protocol_options: {}"));
    assert!(yaml.contains("alpn_protocols: [h2]") && !yaml.contains("alpn_protocols: [http/1.1]"));
}

#[test]
fn relative_references_are_found_from_the_prefix_and_absolute_ones_stay() {
    let deployment = Deployment { files: "/srv/".to_owned(), wasm: "/opt/f.wasm".to_owned() };
    assert_eq!(deployment.locate("pki/ca.pem"), "/srv/pki/ca.pem");
    assert_eq!(deployment.locate("./ca.pem"), "/srv/ca.pem");
    assert_eq!(deployment.locate("/etc/ca.pem"), "/etc/ca.pem");
}

/// SECURITY: what must never be in a configuration, whatever the policy.
#[test]
fn no_configuration_opens_a_way_around() {
    for name in ["../examples/first-light/policy.yaml", "tests/ui/clean.yaml"] {
        let yaml = compile(&source(name)).envoy_yaml;
        for word in [
            "FAIL_OPEN",
            "ACCEPT_UNTRUSTED",
            "allow_expired_certificate",
            "upgrade_configs",
            "PRIVATE KEY",
            "%REQ(AUTHORIZATION",
            "transport_socket_matches",
        ] {
            assert!(!yaml.to_ascii_lowercase().contains(&word.to_ascii_lowercase()), "{name}: {word}");
        }
        assert!(yaml.contains("failure_policy: FAIL_RELOAD") && yaml.contains("transport_protocol: tls"));
    }
}

#[test]
fn predicates_reach_the_model() {
    use veilwire_engine::policy::id::ClaimId;
    use veilwire_engine::policy::model::{Fact, Hours, Literal, Network, Test};
    let compiled = compile(&source("tests/ui/clean-conditions.yaml"));
    let model = compiled.model;
    assert_eq!(model.claims, ["client_id", "department", "org.level", "suspended", "tags"]);
    let rule = |name: &str| model.rules.iter().find(|rule| rule.name == name).unwrap();
    let tests = |name: &str, fact: &Fact| {
        let predicates = rule(name).predicates.iter().filter(|predicate| predicate.fact == *fact);
        predicates.map(|predicate| predicate.test.clone()).collect::<Vec<Test>>()
    };
    let text = |text: &str| Literal::Text(text.into());
    let read = |fact: &Fact| tests("staff-read", fact);
    assert!(!rule("staff-read").anyone);
    assert_eq!(read(&Fact::Claim(ClaimId(1))), [Test::OneOf(vec![text("fraud"), text("sales")])]);
    assert_eq!(read(&Fact::Claim(ClaimId(2))), [Test::OneOf(vec![Literal::Integer(3)])]);
    assert_eq!(read(&Fact::Claim(ClaimId(4))), [Test::Contains(vec![text("blue")])]);
    assert_eq!(read(&Fact::Scopes), [Test::Contains(vec![text("items.read")])]);
    assert_eq!(read(&Fact::Method), [Test::OneOf(vec![text("GET")])]);
    assert_eq!(read(&Fact::TlsVersion), [Test::Range { least: Some(3), most: None }]);
    assert_eq!(read(&Fact::Size), [Test::Range { least: None, most: Some(1 << 20) }]);
    let mapped = |address: &str| address.parse::<std::net::Ipv4Addr>().unwrap().to_ipv6_mapped().into();
    let v6: std::net::Ipv6Addr = "2001:db8::".parse().unwrap();
    let networks = vec![
        Network { address: mapped("10.0.0.0"), prefix: 96 + 8 },
        Network { address: v6.into(), prefix: 32 },
        Network { address: mapped("192.0.2.1"), prefix: 128 },
    ];
    assert_eq!(read(&Fact::Source), [Test::Within(networks)]);
    let hours = Hours { days: 0b001_0001, from: 22 * 60, to: 6 * 60, offset: 60 };
    // 2030-01-01 begins 21,915 days after the epoch.
    let before = Test::Range { least: None, most: Some(21_915 * 86_400 - 1) };
    assert_eq!(read(&Fact::Time), [before, Test::Hours(hours)]);
    let path = read(&Fact::Path);
    assert!(matches!(path.as_slice(), [Test::Matches(pattern), Test::Below(base)]
        if base == "/items" && pattern.matches(b"/items/42") && !pattern.matches(b"/items/x")));
    assert!(rule("service-read").anyone && rule("service-read").groups.is_empty());
    assert_eq!(tests("no-suspended", &Fact::Claim(ClaimId(3))), [Test::OneOf(vec![Literal::Flag(true)])]);
    let observed = rule("try-out");
    assert_eq!((observed.observe, observed.effect), (true, Effect::MayNot));
}
