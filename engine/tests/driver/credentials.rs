//! Where a token may be, and that it goes no further.

use super::support::{EMAIL, FakeHost, model, token};
use std::sync::Arc;
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{HeadMask, TokenSource};

/// The request that leaves, where tokens come from `source` and are kept or not.
fn sent(source: TokenSource, keep: bool, path: &str, headers: &[(&str, String)]) -> Option<FakeHost> {
    let mut model = model();
    model.providers[0].sources = vec![source, TokenSource::Authorization];
    model.providers[0].keep_token = keep;
    model.masks[0].head = HeadMask { query: true, headers: true, ..HeadMask::default() };
    let policy = Arc::new(Policy::from_model(&model).unwrap());
    let mut host = FakeHost::new(path, None);
    host.properties.insert("xds.route_name".into(), b"chat".to_vec());
    for (name, value) in headers {
        host.set_request(name, value.as_bytes());
    }
    let mut driver = Driver::new(policy, &host);
    (driver.request_head(&mut host, true) == Action::Continue).then_some(host)
}

fn header(host: &FakeHost, name: &str) -> Option<String> {
    FakeHost::header(&host.request, name).map(str::to_owned)
}

#[test]
fn tokens_are_taken_off_wherever_they_are() {
    let token = token("agent-7", &["agents"], 600);
    let cookie = TokenSource::Cookie("session".into());
    let query = TokenSource::Query("access_token".into());
    let named = TokenSource::Header("x-id-token".into());

    let host = sent(named.clone(), false, "/chat", &[("x-id-token", token.clone())]).unwrap();
    assert_eq!(header(&host, "x-id-token"), None);
    let host = sent(named.clone(), true, "/chat", &[("x-id-token", token.clone())]).unwrap();
    assert_eq!(header(&host, "x-id-token"), Some(token.clone()));

    let cookies = format!("a=1; session={token}; to={EMAIL}");
    let host = sent(cookie.clone(), false, "/chat", &[("cookie", cookies)]).unwrap();
    assert_eq!(header(&host, "cookie").as_deref(), Some("a=1; to=[EMAIL]"), "the others are masked as ever");
    let host = sent(cookie.clone(), false, "/chat", &[("cookie", format!("session={token}"))]).unwrap();
    assert_eq!(header(&host, "cookie"), None);
    let host = sent(cookie, true, "/chat", &[("cookie", format!("session={token}"))]).unwrap();
    assert_eq!(header(&host, "cookie"), Some(format!("session={token}")));

    let path = format!("/chat?x=1&access_token={token}&to={EMAIL}");
    let host = sent(query.clone(), false, &path, &[]).unwrap();
    assert_eq!(header(&host, ":path").as_deref(), Some("/chat?x=1&to=%5BEMAIL%5D"));
    let host = sent(query.clone(), false, &format!("/chat?access_token={token}"), &[]).unwrap();
    assert_eq!(header(&host, ":path").as_deref(), Some("/chat"));
    let path = format!("/chat?access_token={token}");
    let host = sent(query, true, &path, &[]).unwrap();
    assert_eq!(header(&host, ":path"), Some(path));

    let authorization = [("authorization", format!("Bearer {token}"))];
    let host = sent(named.clone(), false, "/chat", &authorization).unwrap();
    assert_eq!(header(&host, "authorization"), None);
    let host = sent(named.clone(), true, "/chat", &authorization).unwrap();
    assert_eq!(header(&host, "authorization"), Some(format!("Bearer {token}")));

    // One token in two places is two.
    let both = [("authorization", format!("Bearer {token}")), ("x-id-token", token.clone())];
    assert!(sent(named, false, "/chat", &both).is_none());
}
