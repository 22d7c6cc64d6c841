use super::*;
use crate::identity::Identity;
use crate::policy::id::{ClaimId, ProviderId};
use crate::time::Timestamp;
use crate::transport::{Peer, TransportFacts};

use Truth::{No, Unknown, Yes};

fn identity(claim: ClaimValue, scopes: Option<&[&str]>) -> Identity {
    Identity {
        provider: ProviderId(0),
        subject: "ada".into(),
        groups: vec![],
        groups_unknown: false,
        claims: vec![claim],
        scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
    }
}

/// A request on which everything can be asked.
fn ask(fact: Fact, test: Test, change: impl Fn(&mut Facts<'_>)) -> Truth {
    let identity = identity(ClaimValue::Absent, None);
    let transport = TransportFacts {
        version: Some("TLSv1.3".into()),
        mtls: Some(true),
        peer: Some(Peer { uri_san: Some("spiffe://acme.test/agent/7".into()), ..Peer::default() }),
        source: Some("10.1.2.3".parse().unwrap()),
    };
    let header = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let headers = [
        header("x-team", b"fraud"),
        header("x-list", b"a, b"),
        header("X-List", b"c"),
        header("x-bytes", b"\xff"),
        header("x-empty", b""),
    ];
    let mut facts = Facts {
        identity: &identity,
        host: "API.test:8443",
        path: "/v1/items",
        method: "GET",
        query: "a=1&b=x+y%21&b=z&c&%64=4",
        headers: &headers,
        transport: &transport,
        size: Some(512),
        now: Timestamp::from_unix_seconds(0),
        body: None,
        model_in_path: None,
    };
    change(&mut facts);
    holds(&Predicate { fact, test }, &facts)
}

fn plain(fact: Fact, test: Test) -> Truth {
    ask(fact, test, |_| {})
}

fn texts(texts: &[&str]) -> Vec<Literal> {
    texts.iter().map(|text| Literal::Text((*text).to_owned())).collect()
}

fn one_of(of: &[&str]) -> Test {
    Test::OneOf(texts(of))
}

fn contains_any(of: &[&str]) -> Test {
    Test::Contains(texts(of))
}

/// Of a request of which only the caller is of interest.
fn about_caller(identity: &Identity, predicate: &Predicate) -> Truth {
    let transport = TransportFacts::default();
    let facts = Facts {
        identity,
        host: "h",
        path: "/",
        method: "GET",
        query: "",
        headers: &[],
        transport: &transport,
        size: None,
        now: Timestamp(0),
        body: None,
        model_in_path: None,
    };
    holds(predicate, &facts)
}

#[test]
fn claims() {
    use ClaimValue::{Absent, Many, One, Opaque};
    let text = |text: &str| Literal::Text(text.into());
    let about = |claim: ClaimValue, test: &Test| {
        let identity = identity(claim, None);
        about_caller(&identity, &Predicate { fact: Fact::Claim(ClaimId(0)), test: test.clone() })
    };
    let (equals, contains) = (one_of(&["a", "b"]), contains_any(&["a", "b"]));
    let number = Test::OneOf(vec![Literal::Integer(3)]);
    for (claim, by_equals, by_contains, by_number, exists) in [
        (One(text("a")), Yes, Yes, Unknown, Yes),
        (One(text("A")), No, No, Unknown, Yes),
        (One(text("ab")), No, No, Unknown, Yes),
        (One(Literal::Integer(3)), Unknown, Unknown, Yes, Yes),
        (One(Literal::Integer(4)), Unknown, Unknown, No, Yes),
        (One(Literal::Flag(true)), Unknown, Unknown, Unknown, Yes),
        (Many(vec![text("x"), text("b")]), Unknown, Yes, Unknown, Yes),
        (Many(vec![text("x")]), Unknown, No, Unknown, Yes),
        (Many(vec![text("x"), Literal::Integer(3)]), Unknown, Unknown, Unknown, Yes),
        (Many(vec![]), Unknown, No, Unknown, Yes),
        (Opaque, Unknown, Unknown, Unknown, Yes),
        (Absent, Unknown, Unknown, Unknown, No),
    ] {
        assert_eq!(about(claim.clone(), &equals), by_equals, "{claim:?}");
        assert_eq!(about(claim.clone(), &contains), by_contains, "{claim:?}");
        assert_eq!(about(claim.clone(), &number), by_number, "{claim:?}");
        assert_eq!(about(claim.clone(), &Test::Exists(true)), exists, "{claim:?}");
        let absent = if exists == Yes { No } else { Yes };
        assert_eq!(about(claim.clone(), &Test::Exists(false)), absent, "{claim:?}");
    }
}

#[test]
fn scopes() {
    let held = |scopes: Option<&[&str]>, wanted: &str| {
        let identity = identity(ClaimValue::Absent, scopes);
        about_caller(&identity, &Predicate { fact: Fact::Scopes, test: contains_any(&[wanted]) })
    };
    assert_eq!(held(Some(&["read", "write"]), "read"), Yes);
    assert_eq!(held(Some(&["read"]), "rea"), No);
    assert_eq!(held(Some(&[]), "read"), No);
    assert_eq!(held(None, "read"), Unknown);
}

#[test]
fn the_request_line() {
    assert_eq!(plain(Fact::Method, one_of(&["GET"])), Yes);
    assert_eq!(plain(Fact::Method, one_of(&["get", "POST"])), No);
    assert_eq!(plain(Fact::Host, one_of(&["api.test"])), Yes, "without port and case");
    assert_eq!(plain(Fact::Path, one_of(&["/v1/items"])), Yes);
    assert_eq!(plain(Fact::Path, Test::Below("/v1".into())), Yes);
    assert_eq!(plain(Fact::Path, Test::Below("/v1/item".into())), No);
}

#[test]
fn headers_and_parameters() {
    let header = |name: &str| Fact::Header(name.into());
    assert_eq!(plain(header("x-team"), one_of(&["fraud"])), Yes);
    assert_eq!(plain(header("x-team"), one_of(&["FRAUD"])), No);
    assert_eq!(plain(header("x-none"), one_of(&["fraud"])), Unknown);
    assert_eq!(plain(header("x-none"), Test::Exists(false)), Yes);
    assert_eq!(plain(header("x-empty"), Test::Exists(true)), Yes);
    assert_eq!(plain(header("x-list"), one_of(&["a, b"])), Unknown, "two lines are no single value");
    for (wanted, expected) in [("a", Yes), ("b", Yes), ("c", Yes), ("a, b", No)] {
        assert_eq!(plain(header("x-list"), contains_any(&[wanted])), expected, "{wanted}");
    }
    assert_eq!(plain(header("x-bytes"), one_of(&["a"])), Unknown);
    assert_eq!(plain(header("x-bytes"), Test::Exists(true)), Yes);

    let parameter = |name: &str| Fact::Query(name.into());
    assert_eq!(plain(parameter("a"), one_of(&["1"])), Yes);
    assert_eq!(plain(parameter("d"), one_of(&["4"])), Yes, "a name may be escaped");
    assert_eq!(plain(parameter("b"), one_of(&["z"])), Unknown, "twice");
    assert_eq!(plain(parameter("b"), contains_any(&["x y!"])), Yes);
    assert_eq!(plain(parameter("c"), one_of(&[""])), Yes);
    assert_eq!(plain(parameter("e"), one_of(&["1"])), Unknown);
    assert_eq!(plain(parameter("e"), Test::Exists(true)), No);
    let unreadable =
        |query: &'static str| ask(parameter("a"), Test::Exists(false), |facts| facts.query = query);
    assert_eq!(unreadable("%ff=1"), No, "it may be there");
    assert_eq!(unreadable("a=%ff"), No);
    assert_eq!(unreadable("b=%ff"), Yes);
}

#[test]
fn the_connection() {
    let range = |least, most| Test::Range { least, most };
    assert_eq!(plain(Fact::TlsVersion, range(Some(3), None)), Yes);
    assert_eq!(plain(Fact::TlsVersion, range(None, Some(2))), No);
    assert_eq!(plain(Fact::ClientCertificate, Test::Exists(true)), Yes);
    assert_eq!(plain(Fact::PeerUri, one_of(&["spiffe://acme.test/agent/7"])), Yes);
    assert_eq!(plain(Fact::PeerDns, one_of(&["a"])), Unknown);
    let none = TransportFacts::default();
    for (fact, test) in [
        (Fact::TlsVersion, range(Some(2), None)),
        (Fact::PeerUri, one_of(&["a"])),
        (Fact::Source, Test::Within(vec![Network { address: 0, prefix: 0 }])),
    ] {
        let identity = identity(ClaimValue::Absent, None);
        let facts = Facts {
            identity: &identity,
            host: "h",
            path: "/",
            method: "GET",
            query: "",
            headers: &[],
            transport: &none,
            size: None,
            now: Timestamp(0),
            body: None,
            model_in_path: None,
        };
        assert_eq!(holds(&Predicate { fact, test }, &facts), Unknown);
    }
}

#[test]
fn networks() {
    let network = |text: &str, prefix: u8| {
        let address: IpAddr = text.parse().unwrap();
        match address {
            IpAddr::V4(v4) => Network { address: v4.to_ipv6_mapped().into(), prefix: prefix + 96 },
            IpAddr::V6(v6) => Network { address: v6.into(), prefix },
        }
    };
    for (range, address, expected) in [
        (network("10.0.0.0", 8), "10.255.0.1", true),
        (network("10.0.0.0", 8), "11.0.0.1", false),
        (network("10.0.0.1", 32), "10.0.0.1", true),
        (network("10.0.0.1", 32), "10.0.0.2", false),
        (network("0.0.0.0", 0), "1.2.3.4", true),
        (network("0.0.0.0", 0), "2001:db8::1", false),
        (network("10.0.0.0", 8), "::ffff:10.1.1.1", true),
        (network("2001:db8::", 32), "2001:db8:ffff::1", true),
        (network("2001:db8::", 32), "2001:db9::", false),
        (network("::", 0), "2001:db8::1", true),
        (network("::1", 128), "::1", true),
    ] {
        assert_eq!(contains(range, address.parse().unwrap()), expected, "{range:?} {address}");
    }
}

#[test]
fn sizes() {
    let at_most = |most| Test::Range { least: None, most: Some(most) };
    assert_eq!(plain(Fact::Size, at_most(512)), Yes);
    assert_eq!(plain(Fact::Size, at_most(511)), No);
    assert_eq!(
        ask(Fact::Size, at_most(512), |facts| facts.size = None),
        Unknown,
        "nobody says how long it is"
    );
}

#[test]
fn hours_of_the_week() {
    let at = |hours: Hours, day: u64, hour: u64, minute: u64| {
        is_open(hours, ((day * 24 + hour) * 60 + minute) * 60)
    };
    // 1970-01-05 was a Monday: day 4.
    let (monday, friday, saturday, sunday) = (4, 8, 9, 10);
    let office = Hours { days: 0b001_1111, from: 8 * 60, to: 18 * 60, offset: 0 };
    assert!(at(office, monday, 8, 0) && at(office, friday, 17, 59));
    assert!(!at(office, monday, 7, 59) && !at(office, friday, 18, 0) && !at(office, saturday, 12, 0));
    let ahead = Hours { offset: 330, ..office };
    assert!(at(ahead, monday, 2, 30) && !at(ahead, monday, 2, 29) && !at(ahead, monday, 12, 30));
    // A night that begins on Friday ends on Saturday.
    let night = Hours { days: 0b001_0000, from: 22 * 60, to: 6 * 60, offset: 0 };
    assert!(at(night, friday, 22, 0) && at(night, saturday, 5, 59));
    assert!(!at(night, saturday, 6, 0) && !at(night, friday, 5, 0) && !at(night, saturday, 22, 0));
    // From Sunday into Monday, and a whole day.
    let sunday_night = Hours { days: 0b100_0000, ..night };
    assert!(at(sunday_night, sunday, 23, 0) && at(sunday_night, sunday + 1, 1, 0));
    let whole = Hours { days: 0b100_0000, from: 0, to: 0, offset: 0 };
    assert!(at(whole, sunday, 0, 0) && at(whole, sunday, 23, 59) && !at(whole, sunday + 1, 0, 0));
}

#[test]
fn unknown_denies_and_does_not_allow() {
    for (truth, may, may_not) in [(Yes, true, true), (Unknown, false, true), (No, false, false)] {
        assert_eq!((truth.matches(Effect::May), truth.matches(Effect::MayNot)), (may, may_not));
    }
    // One certain no outweighs every doubt.
    assert_eq!([Yes, Unknown, No].into_iter().min(), Some(No));
    assert_eq!([Yes, Unknown].into_iter().min(), Some(Unknown));
}

#[test]
fn bodies() {
    let say = |texts: &[&str]| Stated::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    let only = |of: &[&str]| Test::Only(texts(of));
    let about = |stated: Stated, test: Test| {
        let body = BodyFacts { model: stated.clone(), tools: stated.clone(), methods: stated };
        let ask = |fact| {
            let identity = identity(ClaimValue::Absent, None);
            let transport = TransportFacts::default();
            let facts = Facts {
                identity: &identity,
                host: "h",
                path: "/",
                method: "POST",
                query: "",
                headers: &[],
                transport: &transport,
                size: None,
                now: Timestamp(0),
                body: Some(&body),
                model_in_path: None,
            };
            holds(&Predicate { fact, test: test.clone() }, &facts)
        };
        let answer = ask(Fact::Tool);
        assert_eq!([ask(Fact::Model), ask(Fact::RpcMethod)], [answer; 2]);
        answer
    };
    for (stated, equals, contains, allowed, exists) in [
        (say(&["a"]), Yes, Yes, Yes, Yes),
        (say(&["x"]), No, No, No, Yes),
        (say(&["a", "x"]), Unknown, Yes, No, Yes),
        (say(&["a", "b"]), Unknown, Yes, Yes, Yes),
        (say(&["x", "y"]), Unknown, No, No, Yes),
        // It was read, and there is none.
        (say(&[]), Unknown, No, Yes, No),
        (Stated::Opaque, Unknown, Unknown, Unknown, Yes),
    ] {
        assert_eq!(about(stated.clone(), one_of(&["a", "b"])), equals, "{stated:?}");
        assert_eq!(about(stated.clone(), contains_any(&["a", "b"])), contains, "{stated:?}");
        assert_eq!(about(stated.clone(), only(&["a", "b"])), allowed, "{stated:?}");
        assert_eq!(about(stated.clone(), Test::Exists(true)), exists, "{stated:?}");
    }
    assert_eq!(plain(Fact::Tool, only(&["a"])), Unknown, "nobody has read it");
    assert_eq!(plain(Fact::Model, Test::Exists(true)), Yes, "nothing can be said of it");
}
