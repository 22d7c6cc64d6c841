//! What a policy names: places of fields, content that passes without a look, upstreams whose requests are signed again.

use crate::support::{deployment, files, source};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{Mask, Thinking, UnknownContent};
use veilwire_policy_compiler::diagnostic::render;
use veilwire_policy_compiler::{Compiled, Source, compile_policy};

fn compile(source: &Source) -> Compiled {
    compile_policy(source, &files(), &deployment())
        .unwrap_or_else(|diagnostics| panic!("{}", render::human(source, &diagnostics, false)))
}

fn case(name: &str) -> Compiled {
    compile(&source(&format!("tests/ui/{name}.yaml")))
}

/// What diagnostics say of a case with some text replaced.
fn said(name: &str, old: &str, new: &str) -> String {
    let case = source(&format!("tests/ui/{name}.yaml"));
    assert!(case.text.contains(old), "{old}");
    let edited = Source::new("edited.yaml", case.text.replace(old, new));
    let diagnostics = match compile_policy(&edited, &files(), &deployment()) {
        Ok(compiled) => compiled.warnings,
        Err(refused) => refused,
    };
    render::human(&edited, &diagnostics, false)
}

#[test]
fn places_of_fields_are_lowered() {
    let compiled = case("clean-named-fields");
    let Mask { fields, form_fields, attributes, .. } = &compiled.model.masks[0];
    let at = |fields: &[veilwire_engine::policy::model::Field]| -> Vec<String> {
        fields.iter().map(|field| field.at.to_string()).collect()
    };
    assert_eq!(at(fields), ["$..['user.email']", "$..ssn", "$..tax_id", "$..taxid", "$['a.b'].c"]);
    assert_eq!(at(form_fields), ["$.user.mail"]);
    let keys: Vec<&str> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys, ["gen_ai.reasoning.*", "user.email"]);
    // The filter reads what was written.
    let loaded = Policy::load(&compiled.artifact).unwrap();
    assert_eq!(loaded.model().masks, compiled.model.masks);
}

#[test]
fn content_that_passes_is_named() {
    let names = |names: &[&str]| UnknownContent::Pass(names.iter().map(|name| (*name).to_owned()).collect());
    let limits = |name: &str| case(name).model.limits.unknown_content;
    assert_eq!(limits("W0713-unknown-content"), names(&["application/pdf", "image/*"]));
    assert_eq!(limits("W0713-every-type"), names(&["*/*"]));
    assert_eq!(limits("clean"), UnknownContent::Refuse);
    assert_eq!(case("W0714-reasoning-left").model.routes[0].thinking, Thinking::Leave);
}

#[test]
fn requests_of_a_signed_upstream_are_signed_behind_the_filter() {
    let yaml = case("clean-signed-again").envoy_yaml;
    let (_, cluster) = yaml.split_once("  clusters:\n").unwrap();
    let order = [
        "per_connection_buffer_limit_bytes: 8388608",
        "http_filters:",
        "name: envoy.filters.http.buffer",
        "max_request_bytes: 8388608",
        "name: envoy.filters.http.aws_request_signing",
        "service_name: bedrock",
        "region: eu-central-1",
        "signing_algorithm: AWS_SIGV4",
        "use_unsigned_payload: false",
        "custom_credential_provider_chain: true",
        "instance_profile_credential_provider: {}",
        "name: envoy.filters.http.upstream_codec",
    ];
    let mut rest = cluster;
    for line in order {
        (_, rest) =
            rest.split_once(line).unwrap_or_else(|| panic!("no `{line}` where it belongs:\n{cluster}"));
    }
    assert!(
        yaml.contains("request_headers_to_remove: [x-amz-content-sha256, x-amz-date, x-amz-security-token]")
    );
    assert!(!case("clean").envoy_yaml.contains("aws_request_signing"));
}

#[test]
fn keys_of_aws_come_from_where_the_policy_says() {
    for (from, provider) in [
        ("environment", "environment_credential_provider: {}"),
        ("container", "container_credential_provider: {}"),
        ("instance", "instance_profile_credential_provider: {}"),
    ] {
        let mut case = source("tests/ui/clean-signed-again.yaml");
        case.text = case.text.replace("from: instance", &format!("from: {from}"));
        let yaml = compile(&case).envoy_yaml;
        assert!(yaml.contains(provider), "{from}");
        assert_eq!(yaml.matches("_credential_provider: {}").count(), 1, "{from}: and from nowhere else");
    }
    let text = said("clean-signed-again", "from: instance", "from: vault");
    assert!(text.contains("E0205") && text.contains("`vault`"), "{text}");
    let text = said("clean-signed-again", "region: eu-central-1", "region: EU");
    assert!(text.contains("E0205"), "{text}");
    let text = said("clean-signed-again", "service: bedrock, ", "");
    assert!(text.contains("E0202") && text.contains("service"), "{text}");
    let text = said("clean-signed-again", "maxBody: 8MiB", "maxBody: 1GiB");
    assert!(text.contains("E0206"), "{text}");
    let text = said("clean-signed-again", "{awsSigV4: ", "{bearer: {}, awsSigV4: ");
    assert!(text.contains("E0901"), "{text}");
}
