//! Path, query and headers through the driver: what is rewritten, what is denied, what is left alone.

use super::support::{EMAIL, FakeHost, model, token};
use std::sync::Arc;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::TagId;
use veilwire_engine::policy::model::{Field, HeadMask};

fn field(at: &str) -> Field {
    Field { tag: TagId(0), at: at.parse().unwrap() }
}

/// Every place is scanned.
fn all() -> HeadMask {
    HeadMask { path: true, query: true, headers: true, ..HeadMask::default() }
}

fn policy(head: HeadMask) -> Arc<Policy> {
    let mut model = model();
    model.masks[0].head = head;
    // Below `/chat` as well, so that a path can hold something.
    model.routes[0].path = veilwire_engine::policy::model::RoutePath::Below("/chat".into());
    Arc::new(Policy::from_model(&model).unwrap())
}

fn agent(head: HeadMask, path: &str) -> (Driver, FakeHost) {
    let mut host = FakeHost::new(path, Some(&token("agent-7", &["agents"], 600)));
    host.properties.insert("xds.route_name".into(), b"chat".to_vec());
    (Driver::new(policy(head), &host), host)
}

/// All values of a header, in order.
fn values(headers: &[(Vec<u8>, Vec<u8>)], name: &str) -> Vec<String> {
    let same = headers.iter().filter(|(key, _)| key == name.as_bytes());
    same.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

/// The target that the upstream gets.
fn target(head: HeadMask, path: &str) -> String {
    let (mut driver, mut host) = agent(head, path);
    assert_eq!(driver.request_head(&mut host, true), Action::Continue, "{path}");
    values(&host.request, ":path").concat()
}

#[test]
fn queries_are_rewritten() {
    for (from, to) in [
        (format!("/chat?to={EMAIL}&n=1"), "/chat?to=%5BEMAIL%5D&n=1"),
        ("/chat?to=ada.lovelace%40example.com".to_owned(), "/chat?to=%5BEMAIL%5D"),
        (format!("/chat?{EMAIL}"), "/chat?%5BEMAIL%5D"),
        (format!("/chat/x?a=?b={EMAIL}"), "/chat/x?a=?b=%5BEMAIL%5D"),
        (
            "/chat?q=%7B%22a%22:%22ada%5Cu0040example.com%22%7D".to_owned(),
            "/chat?q=%7B%22a%22:%22%5BEMAIL%5D%22%7D",
        ),
    ] {
        assert_eq!(target(all(), &from), to, "{from}");
    }
    for same in ["/chat", "/chat?", "/chat?a=b%20c+d&&e=%", "/chat?a=ada%2540example.com", "/chat/a%20b?x"] {
        assert_eq!(target(all(), same), same);
    }
    // Nothing is looked at where no mask asks for it.
    let untouched = format!("/chat/{EMAIL}?to={EMAIL}");
    assert_eq!(target(HeadMask::default(), &untouched), untouched);
}

#[test]
fn fields_of_a_query_are_masked_whatever_they_hold() {
    let head = || HeadMask { query_fields: vec![field("$.api_key"), field("$.card")], ..HeadMask::default() };
    assert_eq!(target(head(), "/chat?api%5Fkey=x%20y&b=api_key"), "/chat?api%5Fkey=%5BEMAIL%5D&b=api_key");
    assert_eq!(
        target(head(), "/chat?api_key=1&api_key=2&api_key"),
        "/chat?api_key=%5BEMAIL%5D&api_key=%5BEMAIL%5D&api_key"
    );
    let untouched = format!("/chat?to={EMAIL}");
    assert_eq!(target(head(), &untouched), untouched, "no detector was asked for");
}

/// What Envoy would have changed or refused did not come through such an Envoy.
#[test]
fn paths_without_a_normal_form_are_refused() {
    for path in
        ["/chat/../open", "/chat/%2e%2e/open", "/chat//x", "/chat/a%2Fb", "/chat/a%5cb", "/chat\\x", "//chat"]
    {
        let (mut driver, mut host) = agent(HeadMask::default(), path);
        assert_eq!(driver.request_head(&mut host, true), Action::Pause, "{path}");
        assert_eq!(host.replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [400], "{path}");
    }
    // An escape of what needs none is the same path (RFC 3986 section 6.2.2.2).
    assert_eq!(target(HeadMask::default(), "/ch%61t/x"), "/ch%61t/x");
}

#[test]
fn a_finding_in_the_path_denies() {
    for path in [
        format!("/chat/{EMAIL}/x"),
        "/chat/ada.lovelace%40example%2Ecom".to_owned(),
        format!("/chat/a%20{EMAIL}?q=1"),
    ] {
        let (mut driver, mut host) = agent(all(), &path);
        assert_eq!(driver.request_head(&mut host, true), Action::Pause, "{path}");
        assert_eq!(host.replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [403]);
        driver.finish(&mut host);
        let audit = host.audit();
        assert_eq!(audit["refusal"]["reason"], "finding-in-path");
        assert_eq!(audit["decision"], "deny");
        assert_eq!(audit["request"]["findings"][0]["location"], "path");
        assert!(!audit.to_string().contains("lovelace"), "the audit quotes the path");
        assert!(!String::from_utf8_lossy(&host.replies[0].body).contains("lovelace"));
    }
}

#[test]
fn request_headers_are_masked_but_for_those_that_must_stay() {
    let (mut driver, mut host) = agent(all(), "/chat");
    let mut add = |name: &str, value: &[u8]| host.request.push((name.as_bytes().to_vec(), value.to_vec()));
    add("cookie", format!("a=1; user={EMAIL}; b=2").as_bytes());
    add("x-user", EMAIL.as_bytes());
    add("x-user", b"nobody");
    add("x-user", b"ada.lovelace%40example.com");
    add("x-percent", b"100%25 pct%ad@example.com");
    add("referer", format!("https://x.test/?u={EMAIL}").as_bytes());
    add("x-bytes", b"caf\xE9 \xFF");
    add("x-plain", b"%zz 100% ok");
    add(&format!("x-{EMAIL}"), b"1");
    add("content-location", EMAIL.as_bytes());
    add("te", b"trailers");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    let values = |name: &str| values(&host.request, name);
    assert_eq!(values("cookie"), ["a=1; user=[EMAIL]; b=2"]);
    assert_eq!(values("x-user"), ["[EMAIL]", "nobody", "[EMAIL]"]);
    assert_eq!(values("x-percent"), ["100%25 [EMAIL]"]);
    assert_eq!(values("referer"), ["https://x.test/?u=%5BEMAIL%5D"]);
    assert_eq!(values("x-plain"), ["%zz 100% ok"]);
    assert_eq!(values(&format!("x-{EMAIL}")), [""; 0]);
    assert_eq!(values("content-location"), [EMAIL]);
    assert_eq!(values("authorization"), [""; 0]);
    assert!(host.request.contains(&(b"x-bytes".to_vec(), b"caf\xE9 \xFF".to_vec())));
    driver.finish(&mut host);
    let audit = host.audit().to_string();
    assert!(
        audit.contains("header.*") && !audit.contains("lovelace") && !audit.contains("x-user"),
        "{audit}"
    );
}

#[test]
fn what_steers_the_proxy_is_taken_from_every_caller() {
    for path in ["/chat", "/open"] {
        let (mut driver, mut host) = agent(all(), path);
        host.properties.insert("xds.route_name".into(), path.trim_start_matches('/').into());
        for name in
            ["x-envoy-retry-on", "X-Envoy-Upstream-Rq-Timeout-Ms", "x-envoy-", "x-envoy-not-known-today"]
        {
            host.request.push((name.as_bytes().to_vec(), b"5xx".to_vec()));
            host.request.push((name.as_bytes().to_vec(), b"1".to_vec()));
        }
        host.request.push((b"x-envoys".to_vec(), b"kept".to_vec()));
        assert_eq!(driver.request_head(&mut host, true), Action::Continue);
        let left = host.request.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with(b"x-envoy"));
        assert_eq!(left.collect::<Vec<_>>(), [&(b"x-envoys".to_vec(), b"kept".to_vec())], "{path}");
    }
}

#[test]
fn response_headers_are_masked_line_by_line() {
    let (mut driver, mut host) = agent(all(), "/chat");
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    let mut add =
        |name: &str, value: &str| host.response.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    add("set-cookie", &format!("u={EMAIL}; Path=/"));
    add("set-cookie", "v=1");
    add("location", &format!("/next?u={EMAIL}"));
    add("x-trace", "abc");
    assert_eq!(driver.response_head(&mut host, true), Action::Continue);
    assert_eq!(values(&host.response, "set-cookie"), ["u=[EMAIL]; Path=/", "v=1"]);
    assert_eq!(values(&host.response, "location"), ["/next?u=%5BEMAIL%5D"]);
    assert_eq!(values(&host.response, "x-trace"), ["abc"]);
    assert_eq!(values(&host.response, "x-veilwire-decision"), ["allow"]);
    driver.finish(&mut host);
    assert_eq!(host.audit()["response"]["findings"][0]["count"], 2);
}

#[test]
fn fields_of_headers_are_masked_whatever_they_hold() {
    let head =
        HeadMask { header_fields: vec![field("$.cookie"), field("$.set-cookie")], ..HeadMask::default() };
    let (mut driver, mut host) = agent(head, "/chat");
    host.request.push((b"cookie".to_vec(), b"session=1".to_vec()));
    host.request.push((b"cookie".to_vec(), b"x".to_vec()));
    host.request.push((b"x-user".to_vec(), EMAIL.as_bytes().to_vec()));
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    assert_eq!(values(&host.request, "cookie"), ["[EMAIL]", "[EMAIL]"]);
    assert_eq!(values(&host.request, "x-user"), [EMAIL], "no detector was asked for");
    host.response.push((b"set-cookie".to_vec(), b"session=2; HttpOnly".to_vec()));
    assert_eq!(driver.response_head(&mut host, true), Action::Continue);
    assert_eq!(values(&host.response, "set-cookie"), ["[EMAIL]"]);
    driver.finish(&mut host);
    assert_eq!(host.audit()["request"]["findings"][0]["location"], "header.cookie");
}

#[test]
fn bodies_are_masked_beside_their_heads() {
    let (mut driver, mut host) = agent(all(), "/chat");
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    host.buffer = format!("{{\"to\": \"{EMAIL}\"}}").into_bytes();
    let size = host.buffer.len();
    assert_eq!(
        driver.body(&mut host, veilwire_engine::decision::Direction::Request, size, true),
        Action::Continue
    );
    assert_eq!(host.buffer, b"{\"to\": \"[EMAIL]\"}");
}
